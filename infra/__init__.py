"""The CDK app: one construct per capability, put together in `infra.stack`."""
