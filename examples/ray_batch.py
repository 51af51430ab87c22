"""Labels a folder of scans on a Ray cluster, with `pointtpa segment`.

Every scan is a task of its own, which runs the program. A task whose worker or machine dies is done again elsewhere, and so is
one that fails for a reason that is not the scan's (no memory, a lost GPU). Nothing is lost or half written by that: the program
gives a file its name once it is whole, so a task that is done twice writes the same file twice. For each scan one line of JSON
goes to standard output as it is done, as `pointtpa segment --json` prints it; of a scan that failed `file`, `error` and `code`.

The program, the scans, the model and the output must lie at the same paths on all machines, as on a shared disk.

    pip install ray
    python examples/ray_batch.py scans/ labelled/ --program target/release/pointtpa > done.jsonl
    python examples/ray_batch.py scans/ labelled/ --address auto --resume -- --model base.safetensors --device cpu

What stands behind `--` is handed to `pointtpa segment`. Exits with 1 if a scan could not be labelled.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ray

ENDINGS = {".ply", ".pcd", ".las", ".laz", ".xyz", ".txt", ".csv", ".asc", ".pts"}
WRITTEN = {".ply", ".las"}
# Exit codes of the program that may be the machine's and not the scan's: no adapter, no memory, device lost, cancelled.
MAY_PASS = {3, 4, 5, 130}


class TryAgain(Exception):
    """The scan was not labelled, for a reason that may not be there another time."""


def label(program, scan, output, options, threads):
    """Labels one scan, on a worker; what the program says of it, or why the scan cannot be labelled."""
    command = [program, "segment", scan, "-o", output, "--json", "--quiet", *options]
    if watcher := shutil.which("setpriv"):
        # Else the program would go on for nobody when its worker dies.
        command = [watcher, "--pdeathsig", "TERM", *command]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RAYON_NUM_THREADS": str(threads)})
    if run.returncode == 0:
        return json.loads(run.stdout)
    error = run.stderr.strip().removeprefix("error: ") or f"the program ended with {run.returncode}"
    if run.returncode < 0 or run.returncode in MAY_PASS:
        raise TryAgain(error, run.returncode)
    return failed(scan, error, run.returncode)


def failed(scan, error, code):
    return {"file": scan, "error": error, "code": code}


def why(scan, error):
    """What is said of a scan whose task has failed for the last time."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, TryAgain):
        return failed(scan, *cause.args)
    return failed(scan, f"the worker died: {str(error).splitlines()[0]}", -1)


def plan(scans, labelled):
    """The scans of a folder and their outputs, called as `pointtpa segment FOLDER` calls them."""
    inputs, outputs = {}, {}
    for scan in sorted(scans.resolve().iterdir()):
        plain = scan.with_suffix("") if scan.suffix.lower() == ".gz" else scan
        if not scan.is_file() or plain.suffix.lower() not in ENDINGS:
            continue
        name = plain.name if plain.suffix.lower() in WRITTEN else plain.with_suffix(".ply").name
        output = labelled.resolve() / name
        if output in outputs:
            sys.exit(f"{outputs[output]} and {scan} would both be written to {output}: label them in two runs")
        if output == scan:
            sys.exit(f"{scan} would be overwritten by its labelled copy: give another folder")
        inputs[str(scan)] = str(output)
        outputs[output] = scan
    return inputs


def main():
    parser = argparse.ArgumentParser(usage="%(prog)s [OPTIONS] SCANS LABELLED [-- OPTIONS OF SEGMENT]", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path, help="the folder of the scans")
    parser.add_argument("labelled", type=Path, help="the folder for the labelled scans")
    parser.add_argument("--program", default=shutil.which("pointtpa"), help="the program [default: the one in PATH]")
    parser.add_argument("--address", help="of the cluster, `auto` for the one here [default: a cluster of this machine alone]")
    parser.add_argument("--cpus", type=int, default=1, help="cores, and threads, of a scan [default: 1]")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of a scan, 0.5 for two scans on one [default: 0]")
    parser.add_argument("--retries", type=int, default=3, help="how often a scan is tried again [default: 3]")
    parser.add_argument("--resume", action="store_true", help="skip scans whose labelled file is there already")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments, options = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]
    if not arguments.program or not Path(arguments.program).is_file():
        parser.error("there is no `pointtpa` in PATH: name it with --program")
    if not arguments.scans.is_dir():
        parser.error(f"there is no folder {arguments.scans}")
    jobs = plan(arguments.scans, arguments.labelled)
    arguments.labelled.mkdir(parents=True, exist_ok=True)

    # Ray tells of lost machines on standard output, which is for the results alone.
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ray.init(address=arguments.address, log_to_driver=False)
    task = ray.remote(label).options(
        num_cpus=arguments.cpus,
        num_gpus=arguments.gpus,
        max_retries=arguments.retries,
        retry_exceptions=[TryAgain],
    )
    program, results, pending = str(Path(arguments.program).resolve()), [], {}

    def tell(result):
        results.append(result)
        print(json.dumps(result), file=lines, flush=True)

    for scan, output in jobs.items():
        if arguments.resume and os.path.isfile(output):
            tell({"file": scan, "output": output, "labelled_already": True})
        else:
            pending[task.remote(program, scan, output, options, arguments.cpus)] = scan
    while pending:
        for done in ray.wait(list(pending))[0]:
            scan = pending.pop(done)
            try:
                tell(ray.get(done))
            except ray.exceptions.RayError as error:
                tell(why(scan, error))
    failures = [result for result in results if "error" in result]
    print(f"{len(results) - len(failures)} of {len(results)} scans are labelled", file=sys.stderr)
    for failure in failures:
        # The program's messages name the scan.
        place = "" if failure["file"] in failure["error"] else f"{failure['file']}: "
        print(f"  {place}{failure['error']}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
