"""A petrol station to try the edge component against: pumps, drivers, cameras and a till."""
