"""The sums themselves: plain functions that know nothing of MCP."""

import math

KELVIN = 273.15
STANDARD_PRESSURE = 1013.25
"""hPa, at sea level."""


def dew_point(temperature: float, humidity: float) -> float:
    """Return the temperature in °C at which dew forms (Magnus formula, WMO constants)."""
    gamma = math.log(humidity / 100) + 17.62 * temperature / (243.12 + temperature)
    return 243.12 * gamma / (17.62 - gamma)


def wind_chill(temperature: float, wind: float) -> float:
    """Return how cold moving air feels in °C; the formula holds below 10 °C, above 4.8 km/h."""
    if temperature > 10 or wind <= 4.8:
        return temperature
    power = math.pow(wind, 0.16)
    return 13.12 + 0.6215 * temperature - 11.37 * power + 0.3965 * temperature * power


def pressure_at(altitude: float) -> float:
    """Return the air pressure in hPa of the standard atmosphere at an altitude in metres."""
    return STANDARD_PRESSURE * math.pow(1 - 0.0065 * altitude / (15 + KELVIN), 5.255)
