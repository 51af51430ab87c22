"""What `pointtpa segment` writes, read by plyfile, laspy, csv and NumPy.

Runs the program on the bundled scenes, on LAS and LAZ files that laspy writes, and on the shared scans where they are; writes
each in every format and asserts that coordinates, properties, labels and confidences come back, the same in all of them.
Run on demand, CI does not:

    pip install plyfile "laspy[lazrs]"
    cargo build --release && python tests/interop/outputs.py target/release/pointtpa ../shared/data

The voxels are large, because what the labels are does not matter here.
"""

import csv, gzip, json, subprocess, sys, tempfile
from pathlib import Path

import laspy
import numpy as np
from plyfile import PlyData

program = Path(sys.argv[1]).resolve()
shared = Path(sys.argv[2]) if len(sys.argv) > 2 else None
scenes = Path(__file__).parents[2] / "assets/scenes"
GIVEN = ["label", "scalar_Classification", "confidence"]
FINEST_STEP = 1e-4  # of coordinates in LAS


def run(*arguments):
    done = subprocess.run([program, *map(str, arguments), "--device", "cpu"], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def segment(scan, output, *options):
    return json.loads(run("segment", scan, "-o", output, "--grid", "0.3", "--json", *options))


def equal(a, b, what):
    assert len(a) == len(b), f"{what}: {len(a)} values and {len(b)}"
    if a.dtype == object:
        assert all(np.array_equal(x, y) for x, y in zip(a, b)), what
    else:
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), f"{what}: {a[:5]} and {b[:5]}"


def check_ply(scan, output):
    """Every element and property as it was, in order, and the labels after them; returns the points."""
    before, after = PlyData.read(str(scan)), PlyData.read(str(output))
    assert [e.name for e in before.elements] == [e.name for e in after.elements]
    for old, new in zip(before.elements, after.elements):
        names = [p.name for p in old.properties if p.name not in GIVEN]
        assert [p.name for p in new.properties if p.name not in GIVEN] == names
        for name in names:
            equal(old.data[name], new.data[name], f"{scan}: {name}")
            assert old.data[name].dtype == new.data[name].dtype, name
    return after


def check_labels(points, summary):
    labels = points["label"]
    equal(labels.astype(np.float32), points["scalar_Classification"], "scalar_Classification")
    assert labels.dtype.kind == "i" and points["confidence"].dtype.kind == "f"
    assert ((points["confidence"] >= 0) & (points["confidence"] <= 1)).all()
    counts = {row["id"]: row["count"] for row in summary["class_counts"]}
    for label in np.unique(labels[labels >= 0]):
        assert counts[label] == (labels == label).sum(), label
    return labels


def roles(names):
    """What LAS has fields for."""
    lower = {name.lower(): name for name in names}
    triples = [["x", "y", "z"], ["red", "green", "blue"], ["r", "g", "b"], ["diffuse_red", "diffuse_green", "diffuse_blue"]]
    found = [[lower[n] for n in triple] for triple in triples if all(n in lower for n in triple)]
    return found[0], found[1] if len(found) > 1 else None


def check_las(output, points, codes):
    """LAS or LAZ: what the labelled PLY says of the points that have a place."""
    read = laspy.read(output)
    names = [n for n in points.dtype.names if points[n].dtype != object]
    place, color = roles(names)
    xyz = np.stack([points[n] for n in place], 1).astype(np.float64)
    finite = np.isfinite(xyz).all(1)
    assert len(read.points) == finite.sum(), output
    # A step of the format, and the 32-bit floats that clouds are held in.
    reach = max(np.ptp(xyz[finite][:, axis]) for axis in range(3)) if finite.any() else 0
    near = max(np.abs(xyz[finite]).max(initial=0) if np.abs(xyz[finite]).max(initial=0) <= 8192 else reach, 1)
    tolerance = max(FINEST_STEP, read.header.scales.max()) / 2 + 2**-23 * near
    for axis, values in enumerate([read.x, read.y, read.z]):
        assert np.abs(np.array(values) - xyz[finite][:, axis]).max(initial=0) <= tolerance, f"{output}: {place[axis]}"
    equal(np.array(read["label"]), points["label"][finite], "label")
    equal(np.array(read["confidence"]), points["confidence"][finite], "confidence")
    code = {row["id"]: row["code"] for row in codes}
    equal(np.array(read.classification), np.array([code.get(v, 1) for v in points["label"][finite]], np.uint8), "codes")
    if color and points[color[0]].dtype == np.uint8:
        for name, own in zip(["red", "green", "blue"], color):
            equal(np.array(read[name]), points[own][finite].astype(np.uint16) * 257, name)
    dimensions = list(read.point_format.extra_dimension_names)
    others = [n for n in names if n not in place + (color or []) + GIVEN + ["intensity", "gps_time"]]
    assert len(dimensions) == 2 + len(others), f"{dimensions} of {others}"
    for name, dimension in zip(others, dimensions[2:]):
        equal(np.array(read[dimension]), points[name][finite], f"{output}: {name} as {dimension}")
    if "gps_time" in names:
        equal(np.array(read.gps_time), points["gps_time"][finite], "gps_time")
    if "intensity" in names and points["intensity"].dtype.kind in "ui":
        equal(np.array(read.intensity), points["intensity"][finite].astype(np.uint16), "intensity")


def check_csv(path, points, classes):
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path)
    with opened as file:
        rows = list(csv.reader(file))
    names, rows = rows[0], rows[1:]
    kept = [n for n in points.dtype.names if points[n].dtype != object and n not in GIVEN]
    place, _ = roles(kept)
    assert names == place + [n for n in kept if n not in place] + ["label", "class_name", "confidence"], names
    columns = dict(zip(names, zip(*rows))) if rows else {n: [] for n in names}
    for name in kept + ["label", "confidence"]:
        if path.suffix == ".gz" or points[name].dtype.kind != "f":
            found = np.array([float(v) for v in columns[name]])
        else:
            found = np.array(columns[name], points[name].dtype)
        equal(found.astype(points[name].dtype), points[name], f"{path}: {name}")
    assert all(classes.get(label, "") == name for label, name in zip(points["label"], columns["class_name"])), path


def check_scan(scan, folder):
    outputs = {end: folder / f"out.{end}" for end in ["ply", "las", "laz", "csv", "csv.gz", "ply.gz", "npy", "npz"]}
    summary = segment(scan, outputs["ply"])
    for end, output in outputs.items():
        assert end == "ply" or segment(scan, output)["class_counts"] == summary["class_counts"]
    ply = check_ply(scan, outputs["ply"]) if scan.suffix == ".ply" else PlyData.read(str(outputs["ply"]))
    element = next(e for e in ply.elements if e.name in ["vertex", "vertices", "point", "points"])
    points = element.data
    labels = check_labels(points, summary)
    assert gzip.open(outputs["ply.gz"]).read() == outputs["ply"].read_bytes()
    classes = {row["id"]: row["name"] for row in json.loads(outputs["npy"].with_suffix(".classes.json").read_text())}
    comments = [c.split() for c in ply.comments if c.startswith("class ")]
    assert {int(c[1]): " ".join(c[2:-3]) for c in comments} == classes
    for end in ["las", "laz"]:
        codes = json.loads(outputs[end].with_suffix(".classes.json").read_text())
        check_las(outputs[end], points, codes)
    for end in ["csv", "csv.gz"]:
        # The coordinates of other formats are rounded to micrometres in text.
        if scan.suffix == ".ply":
            check_csv(outputs[end], points, classes)
    equal(np.load(outputs["npy"]), labels.astype(np.int32), "npy")
    with np.load(outputs["npz"]) as archive:
        equal(archive["label"], labels.astype(np.int32), "npz")
        equal(archive["confidence"], points["confidence"].astype(np.float32), "npz")
        place, color = roles(points.dtype.names)
        # Of doubles near zero 32 bits are taken.
        coord = np.stack([points[n] for n in place], 1)
        assert archive["coord"].dtype in [np.float32, np.float64]
        equal(archive["coord"].ravel(), coord.astype(archive["coord"].dtype).ravel() if scan.suffix == ".ply" else coord.ravel(), "coord")
        if color and points[color[0]].dtype == np.uint8:
            equal(archive["color"].ravel(), np.stack([points[n] for n in color], 1).ravel(), "color")
    for end in ["ply", "ply.gz", "las", "laz", "csv", "csv.gz"]:
        found = json.loads(run("info", outputs[end], "--json"))
        expected = len(points) - (summary["skipped_points"] if end in ["las", "laz"] else 0)
        assert found["points"] == expected, f"{end}: {found['points']}"
    return points


def laspy_scan(path, version, point_format):
    """A file with values in every kind of field, far from zero."""
    header = laspy.LasHeader(version=version, point_format=point_format)
    header.scales, header.offsets = [0.001] * 3, [500_000.0, 4_000_000.0, 0.0]
    header.add_extra_dims([
        laspy.ExtraBytesParams("reflectance", np.float32, description="in dB"),
        laspy.ExtraBytesParams("scanner id", np.uint16),
        laspy.ExtraBytesParams("height", np.float64),
        laspy.ExtraBytesParams("offset", np.int8),
    ])
    las, n, dice = laspy.LasData(header), 2000, np.random.default_rng(5)
    las.x, las.y, las.z = 500_000 + dice.random(n) * 5, 4_000_000 + dice.random(n) * 4, dice.random(n) * 2.5
    las.intensity, las.classification = dice.integers(0, 65_536, n), dice.integers(0, 10, n)
    las.gps_time = dice.random(n) * 1e8
    las.red, las.green, las.blue = (dice.integers(0, 256, n) * 257 for _ in range(3))
    las["reflectance"], las["height"] = dice.normal(size=n).astype(np.float32), dice.normal(size=n)
    las["scanner id"], las["offset"] = dice.integers(0, 65_536, n), dice.integers(-128, 128, n)
    las.write(path)
    return las


def check_laspy(folder):
    for name, version, point_format in [("a.las", "1.2", 3), ("b.laz", "1.2", 3), ("c.las", "1.4", 7), ("d.laz", "1.4", 7)]:
        las = laspy_scan(folder / name, version, point_format)
        points = check_scan(folder / name, folder)
        for axis in "xyz":
            # Half the extent as a 32-bit float.
            assert np.abs(points[axis] - np.array(las[axis])).max() < 1e-6, axis
        for ours, theirs in [("intensity",) * 2, ("gps_time",) * 2, ("classification",) * 2, ("reflectance",) * 2,
                             ("scanner_id", "scanner id"), ("height",) * 2, ("offset",) * 2]:
            equal(points[ours].astype(np.float64), np.array(las[theirs]).astype(np.float64), theirs)
        for color in ["red", "green", "blue"]:
            equal(points[color].astype(int) * 257, np.array(las[color]).astype(int), color)
        for end in ["las", "laz"]:
            again = laspy.read(folder / f"out.{end}")
            for ours, theirs in [("intensity",) * 2, ("gps_time",) * 2, ("original_classification", "classification"),
                                 ("reflectance",) * 2, ("scanner_id", "scanner id"), ("height",) * 2, ("offset",) * 2]:
                equal(np.array(again[ours]).astype(np.float64), np.array(las[theirs]).astype(np.float64), theirs)
            for color in ["red", "green", "blue"]:
                equal(np.array(again[color]), np.array(las[color]), color)
        with open(folder / "out.csv") as file:
            rows = list(csv.DictReader(file))
        for axis in "xyz":
            # To the micrometre: the digits of the millimetres that the file has.
            assert np.abs(np.array([float(row[axis]) for row in rows]) - np.array(las[axis])).max() <= 1e-6
        print(f"{name} holds")


def check_map(folder):
    """Other classes, in every place that says which they are."""
    scan = scenes / "living_room.ply"
    (folder / "map.json").write_text(json.dumps({
        "wall": {"id": 6, "name": "building", "color": [1, 2, 3], "las": 6}, "door": {"id": 6, "name": "building"},
        "toilet": {"id": 300, "name": "fixture"}, "floor": {"id": 2, "name": "ground"}, "cabinet": None, "picture": None,
    }))
    segment(scan, folder / "plain.npy")
    plain, mapped = np.load(folder / "plain.npy"), None
    expected = plain.copy()
    for old, new in [(0, 6), (7, 6), (16, 300), (1, 2), (2, -1), (10, -1)]:
        expected[plain == old] = new
    for end in ["ply", "laz", "csv", "npz"]:
        output = folder / f"mapped.{end}"
        # The toilet's id is free, the window's is not.
        failed = subprocess.run([program, "segment", scan, "-o", output, "--class-map", folder / "map.json", "--device", "cpu"],
                                capture_output=True, text=True)
        assert failed.returncode == 1 and "`chair`" not in failed.stderr and "keeps its id 6" in failed.stderr, failed.stderr
    text = json.loads((folder / "map.json").read_text()) | {"table": {"id": 30, "name": "table"}}
    (folder / "map.json").write_text(json.dumps(text))
    expected[plain == 6] = 30
    for end in ["ply", "laz", "csv", "npz"]:
        summary = segment(scan, folder / f"mapped.{end}", "--class-map", folder / "map.json")
        counts = {row["id"]: row["count"] for row in summary["class_counts"]}
        assert counts[6] == (expected == 6).sum() and summary["unlabelled_points"] == (expected < 0).sum()
    equal(PlyData.read(str(folder / "mapped.ply"))["vertex"]["label"], expected, "mapped")
    assert "class 6 building 1 2 3" in PlyData.read(str(folder / "mapped.ply")).comments
    laz = laspy.read(folder / "mapped.laz")
    equal(np.array(laz["label"]), expected, "mapped")
    assert (np.array(laz.classification)[expected == 6] == 6).all()
    assert (np.array(laz.classification)[expected == 2] == 2).all()
    assert (np.array(laz.classification)[expected < 0] == 1).all()
    with open(folder / "mapped.csv") as file:
        names = [row["class_name"] for row in csv.DictReader(file)]
    assert all((name == "building") == (label == 6) for name, label in zip(names, expected))
    with np.load(folder / "mapped.npz") as archive:
        assert (archive["confidence"][expected < 0] == 0).all()
    print("class maps hold")


def check_features(folder):
    scan = scenes / "living_room.ply"
    channels = segment(scan, folder / "raw.npy", "--features", "raw")["feature_channels"]
    features = np.load(folder / "raw.npy")
    segment(scan, folder / "pca.ply", "--features", "pca")
    before, after = PlyData.read(str(scan))["vertex"].data, PlyData.read(str(folder / "pca.ply"))["vertex"].data
    assert features.dtype == np.float32 and features.shape == (len(before), channels) and np.isfinite(features).all()
    assert before.dtype.names == after.dtype.names
    for name in before.dtype.names:
        if name not in ["red", "green", "blue"]:
            equal(before[name], after[name], name)
    # The components by another way: the program takes voxels, all of them alike.
    voxels = np.unique(features, axis=0)
    _, _, axes = np.linalg.svd(voxels - voxels.mean(0), full_matrices=False)
    for axis, color in zip(axes[:3], ["red", "green", "blue"]):
        along = (features - voxels.mean(0)) @ axis
        between = (after[color] > 0) & (after[color] < 255)
        correlation = abs(np.corrcoef(along[between], after[color][between])[0, 1])
        # Colours are steps of 1/255 of the range; neighbouring components mix a little.
        assert correlation > 0.98, f"{color}: {correlation}"
    print("features hold")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_laspy(folder)
        check_map(folder)
        check_features(folder)
        scans = sorted(scenes.glob("*.ply"))
        if shared and (shared / "scans").is_dir():
            scans += sorted((shared / "scans").iterdir())
        else:
            print("skipped: no shared scans")
        for scan in scans:
            check_scan(scan, folder)
            print(scan.name, "holds")


if __name__ == "__main__":
    main()
