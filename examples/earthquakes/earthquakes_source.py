"""Earthquakes from a catalogue of files, one for every hour, as an observatory might leave them on a disk.

The observatory is made up: it writes a file when that is first asked for, from the seed and the hour alone. The same
seed gives the same earthquakes, one in every minute of all time.
"""

import json
import os
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, Iterator

import dlt

HOUR = timedelta(hours=1)
REGIONS = {
    "Aegean Sea": (38.0, 25.0),
    "Andes": (-33.4, -70.0),
    "Hokkaido": (43.1, 143.0),
    "Iceland": (64.9, -19.0),
    "Sumatra": (-0.6, 101.3),
    "Vanuatu": (-16.0, 167.0),
}


@dlt.source(name="observatory")
def observatory(
    start: datetime,
    end: datetime,
    catalogue: str = dlt.config.value,
    seed: int = dlt.config.value,
) -> Any:
    """The earthquakes of `[start, end)`: where they are kept and by which seed comes from `.dlt/*.config.toml`."""

    @dlt.resource(primary_key="id", write_disposition="append")
    def earthquakes() -> Iterator[Dict[str, Any]]:
        hour = start.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
        while hour < end:
            with _hour_file(Path(catalogue), hour, seed).open(encoding="utf-8") as lines:
                for line in lines:
                    event = json.loads(line)
                    event["happened_at"] = datetime.fromisoformat(event["happened_at"])
                    if start <= event["happened_at"] < end:
                        yield event
            hour += HOUR

    return earthquakes


def _hour_file(directory: Path, hour: datetime, seed: int) -> Path:
    """The observatory's file of one hour, JSON lines in order of time."""
    path = directory / f"{hour:%Y-%m-%dT%H}-{seed}.jsonl"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text("".join(f"{json.dumps(event)}\n" for event in _events(hour, seed)), encoding="utf-8")
        os.replace(unfinished, path)
    return path


def _events(hour: datetime, seed: int) -> Iterator[Dict[str, Any]]:
    dice = random.Random(f"{seed}/{hour.isoformat()}")
    for minute in range(60):
        happened_at = hour + timedelta(minutes=minute, seconds=dice.randrange(60))
        region = dice.choice(sorted(REGIONS))
        latitude, longitude = REGIONS[region]
        yield {
            "id": f"{hour:%Y%m%d%H}{minute:02}",
            "happened_at": happened_at.isoformat(),
            "region": region,
            "latitude": round(dice.gauss(latitude, 1.5), 3),
            "longitude": round(dice.gauss(longitude, 1.5), 3),
            "depth_km": round(dice.uniform(2, 120), 1),
            # Ten times as many of one magnitude as of the next, as on the real planet.
            "magnitude": round(min(2 + dice.expovariate(2.3), 9.5), 1),
        }
