"""The examples, the template and the guide, as a user would use them."""
