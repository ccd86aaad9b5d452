"""Serving in an AWS Lambda function: its events instead of a socket, one request at a time, no end of the process."""
