"""The sample's tools."""
