"""Describes and uses the hardware: devices, precision and sharding."""
