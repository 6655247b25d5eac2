"""The server: which tools, resources and prompts there are."""

import asyncio
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import BaseModel, Field

from weather import sums

mcp = MCPServer("weather", instructions="Weather sums: dew point, wind chill, air pressure.")

Celsius = Annotated[float, Field(ge=-90, le=60, description="air temperature in °C")]
Altitude = Annotated[float, Field(ge=-430, le=11000, description="metres above sea level")]


REPORTED = 100
"""After how many altitudes those who want to know hear how far it is."""


class Feel(BaseModel):
    """How the air feels."""

    dew_point: float
    wind_chill: float


@mcp.tool()
def feel(
    temperature: Celsius,
    humidity: Annotated[float, Field(gt=0, le=100, description="relative humidity in %")],
    wind: Annotated[float, Field(ge=0, le=400, description="wind speed in km/h")] = 0,
) -> Feel:
    """Say where dew forms and how cold the wind feels, both in °C."""
    return Feel(
        dew_point=round(sums.dew_point(temperature, humidity), 1),
        wind_chill=round(sums.wind_chill(temperature, wind), 1),
    )


@mcp.tool()
async def pressure_profile(
    altitudes: Annotated[list[Altitude], Field(min_length=1, max_length=1000)],
    ctx: Context,
) -> list[float]:
    """Return the standard atmosphere's air pressure in hPa at each altitude."""
    profile = []
    for count, altitude in enumerate(altitudes, 1):
        profile.append(round(sums.pressure_at(altitude), 1))
        if count % REPORTED == 0:
            await ctx.report_progress(count, len(altitudes))
        await asyncio.sleep(0)  # a long list lets other calls in, and can be cancelled
    return profile


@mcp.resource("weather://units", mime_type="application/json")
def units() -> dict[str, str]:
    """Name the unit of every quantity the tools know."""
    return {
        "temperature": "°C",
        "humidity": "%",
        "wind": "km/h",
        "altitude": "m",
        "pressure": "hPa",
    }


@mcp.prompt()
def clothing(temperature: str, wind: str) -> str:
    """Ask what to wear."""
    weather = f"It is {temperature} °C with wind of {wind} km/h."
    return f"{weather} Use the tool feel, then say what to wear."
