"""Real transcripts imported through the LSP command, twice: the second time nothing may be stored.

    python tests/benchmarks/real_samples.py --data DIR

DIR/samples holds a folder a tool (aider, claude_code, codex, …). Exit status 1 where the second import
stores or updates anything.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from recall_quality import CACHE, ROOT

sys.path.insert(0, str(ROOT / "configs" / "demo"))

from editor import Editor

from remanence.engine import messages as m
from remanence.engine.starting import drain
from remanence.paths import Home

SAMPLES = ("aider", "claude_code", "codex", "own_shapes")
MODEL = CACHE / "remanence" / "models" / "all-MiniLM-L6-v2"
SHOWN = ("read", "stored", "duplicates", "updated", "ignored", "failed")


async def import_one(editor: Editor, path: Path) -> m.Job:
    request = m.ImportRequest(path=str(path))
    started = await editor.run("remanence.import", request, m.ImportResponse)
    while True:
        wanted = m.JobsRequest(job_id=started.job_id)
        (job,) = (await editor.run("remanence.jobs", wanted, m.JobsResponse)).jobs
        if job.state not in ("queued", "running"):
            return job
        await asyncio.sleep(0.05)


async def run(samples: Path) -> int:
    again = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home").create()
        (home.models / MODEL.name).symlink_to(MODEL, target_is_directory=True)
        editor = Editor()
        await editor.start({**os.environ, "REMANENCE_HOME": str(home.root)}, Path(folder))
        for attempt in (1, 2):
            for name in SAMPLES:
                begun = time.perf_counter()
                job = await import_one(editor, samples / name)
                figures = ", ".join(f"{key} {job.figures.get(key, 0)}" for key in SHOWN)
                print(f"{attempt}. {name:12} {job.state:6} {time.perf_counter() - begun:5.1f} s  {figures}")
                if attempt == 2:
                    again += job.figures.get("stored", 0) + job.figures.get("updated", 0)
        await editor.close()
        await drain(home)
    print(f"stored or updated the second time: {again}")
    return 1 if again else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    return asyncio.run(run(parser.parse_args().data / "samples"))


if __name__ == "__main__":
    sys.exit(main())
