"""`examples/ray_batch.py` on a real cluster that loses a worker and a machine.

Starts a Ray cluster of a head and two machines of one core on this machine, labels a folder on it, and kills with SIGKILL first a
worker that runs the program, then one of the two machines. Every scan must then have exactly one right output, the same bytes as
from one run of the program, and the lines must name every scan exactly once. Run on demand, CI does not:

    pip install ray
    cargo build --release && python tests/interop/ray_batch.py target/release/pointtpa [GRID]
"""

import collections, json, os, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

program = Path(sys.argv[1]).resolve()
root = Path(__file__).resolve().parents[2]
# Of a program that is not optimised voxels as coarse as 0.3 take long enough to be interrupted.
OPTIONS = ["--device", "cpu", "--grid", *(sys.argv[2:] or ["0.05"])]
COPIES = 4


def running(folder):
    """Runs of the program on scans of `folder`: of each its process, its parent's, and the scan."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path("/proc", process, "cmdline").read_text().split("\0")
            parent = int(Path("/proc", process, "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if command[0] == str(program) and len(command) > 2 and command[2].startswith(f"{folder}/"):
            found.append((int(process), parent, command[2]))
    return found


def wait_for(what, look, batch):
    end = time.time() + 300
    while time.time() < end and batch.poll() is None:
        if found := look():
            return found
        time.sleep(0.02)
    batch.kill()
    sys.exit(f"{what}: nothing in five minutes, or until the end of the batch:\n{batch.communicate()[1]}")


def ended(process):
    stat = Path("/proc", str(process), "stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def batch(address, scans, out, *more):
    command = [sys.executable, root / "examples/ray_batch.py", scans, out, "--program", program, "--address", address, *more]
    return subprocess.Popen([*map(str, command), "--", *OPTIONS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(batch):
    out, err = batch.communicate(timeout=900)
    try:
        return [json.loads(line) for line in out.splitlines()], err
    except ValueError:
        sys.exit(f"there are other lines than JSON:\n{out}\n{err}")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def main(folder, cluster, machines):
    scans, expected, out = folder / "scans", folder / "expected", folder / "out"
    scans.mkdir()
    for scene in sorted((root / "assets/scenes").glob("*.ply")):
        for copy in range(COPIES):
            shutil.copy(scene, scans / f"{scene.stem}_{copy}.ply")
    (scans / "bad.ply").write_text("ply\nnonsense\n")
    (scans / "points.xyz").write_text("".join(f"{i % 7}.5 {i % 5} {i / 100}\n" for i in range(500)))
    names = sorted(path.name for path in scans.iterdir())
    right = subprocess.run([program, "segment", scans, "-o", expected, *OPTIONS], capture_output=True, text=True)
    assert right.returncode == 1 and "1 of " in right.stderr, right.stderr

    run = batch(cluster.address, scans, out)
    process, worker, scan = wait_for("a run of the program", lambda: running(scans), run)[0]
    os.kill(worker, signal.SIGKILL)
    print(f"killed worker {worker}, at {Path(scan).name}")
    if shutil.which("setpriv"):
        wait_for("the end of the program without a worker", lambda: ended(process), run)
    wait_for("outputs", lambda: len(list(out.glob("*.ply"))) >= 3, run)
    before = len(list(out.glob("*.ply")))
    assert before < len(names) - 1, "all was done before a machine was lost"
    cluster.remove_node(machines[0], allow_graceful=False)
    print(f"killed a machine, after {before} of {len(names) - 1} outputs")
    lines, err = result(run)
    assert run.returncode == 1, err

    told = collections.Counter(Path(line["file"]).name for line in lines)
    assert told == collections.Counter(names), told
    failed = [line for line in lines if "error" in line]
    assert [(Path(line["file"]).name, line["code"]) for line in failed] == [("bad.ply", 1)], failed
    assert contents(out) == contents(expected), set(contents(out)) ^ set(contents(expected))
    assert all(Path(line["output"]).is_file() and line["points"] > 0 for line in lines if line not in failed)

    for name in ["living_room_1.ply", "points.ply"]:
        (out / name).unlink()
    lines, err = result(batch(cluster.address, scans, out, "--resume"))
    done = collections.Counter("failed" if "error" in line else "skipped" if "labelled_already" in line else "labelled" for line in lines)
    assert done == {"failed": 1, "labelled": 2, "skipped": len(names) - 3}, (done, err)
    assert contents(out) == contents(expected)
    print(f"{len(names)} scans: every one told once and labelled once, the bad one named")


if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    machines = [cluster.add_node(num_cpus=1) for _ in range(2)]
    try:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name).resolve(), cluster, machines)
    finally:
        cluster.shutdown()
