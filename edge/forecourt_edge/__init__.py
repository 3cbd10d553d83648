"""The station's side of Forecourt: takes sales over from pumps and hands them to the cloud."""
