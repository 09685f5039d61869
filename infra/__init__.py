"""The service on AWS: one stack, a construct for each capability."""
