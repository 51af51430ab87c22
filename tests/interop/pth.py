"""Real PyTorch checkpoints against `pointtpa convert` and `check`.

For every golden in the shared data this writes the model's state dict as `torch.save` does, in the zip layout, in the layout
of before PyTorch 1.6, in several pickle protocols and wrapped as the reference's trainer and Sonata's pretraining wrap it;
converts each with the program, compares every tensor bit for bit, and runs `pointtpa check` on one golden whose weights are the
converted ones. Also writes what the program must refuse. Run on demand, CI does not:

    pip install torch numpy safetensors
    cargo build --release && python tests/interop/pth.py target/release/pointtpa ../shared/goldens

With `--fixtures DIR` it writes the checkpoints that the tests read, tests/checkpoints, instead.
"""

import collections, json, os, pickle, subprocess, sys, tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

program, goldens = Path(sys.argv[1]).resolve(), Path(sys.argv[2])


def is_weight(name):
    return name.startswith(("backbone.", "seg_head."))


def convert(source, target, *options):
    run = subprocess.run([program, "convert", source, "-o", target, "--json", *options], capture_output=True, text=True)
    assert run.returncode == 0, f"{source}: {run.stderr}"
    return json.loads(run.stdout)


def same_bits(weights, path):
    found = load_file(path)
    assert found.keys() == weights.keys(), found.keys() ^ weights.keys()
    for name, tensor in weights.items():
        a, b = tensor.contiguous(), found[name]
        assert a.shape == b.shape and a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes(), name


def trained(weights):
    """What the reference's trainer saves, with real states of optimizer, scheduler and scaler."""
    parameters = [torch.nn.Parameter(tensor.clone()) for tensor in weights.values()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=10)
    steps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    scheduler.step()
    return {
        "epoch": 3,
        "state_dict": collections.OrderedDict(("module." + name, tensor) for name, tensor in weights.items()),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "steps": steps.state_dict(),
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
        "best_metric_value": np.float64(0.75),
        "best_float32": np.float32(0.5),
    }


def layouts(folder, weights):
    """Files to convert, with the dtype of their weights unchanged."""
    module = torch.nn.Linear(2, 2)  # for a state dict with versions of modules
    states = module.state_dict()
    states.clear()
    states.update(weights)
    parameters = {name: torch.nn.Parameter(tensor) for name, tensor in weights.items()}
    transposed = {name: tensor.t().contiguous().t() if tensor.dim() == 2 else tensor for name, tensor in weights.items()}
    flat = torch.cat([tensor.reshape(-1) for tensor in weights.values()])
    pieces = flat.split([tensor.numel() for tensor in weights.values()])
    shared = {name: piece.view(tensor.shape) for (name, tensor), piece in zip(weights.items(), pieces)}
    contents = {"plain": states, "parameters": parameters, "strided": transposed, "shared": shared, "trainer": trained(weights)}
    for name, content in contents.items():
        for is_zip in [True, False]:
            for protocol in range(1, 6):
                path = folder / f"{name}-{'zip' if is_zip else 'legacy'}-{protocol}.pth"
                torch.save(content, path, _use_new_zipfile_serialization=is_zip, pickle_protocol=protocol)
                yield path


def fixtures(folder):
    """A network of two stages whose parameter `i` counts up from `i`, modulo 128."""
    shapes = {"seg_head": [3, 12], "backbone.embedding.stem.linear": [4, 6], "backbone.embedding.stem.norm": [4]}
    for stage, c in enumerate([4, 8]):
        at = f"backbone.enc.enc{stage}."
        if stage:
            shapes.update({at + "down.proj": [c, 4], at + "down.norm.0": [c]})
        block = {"cpe.0": [c, 3, 3, 3, c], "cpe.1": [c, c], "cpe.2": [c], "norm1.0": [c], "attn.qkv": [3 * c, c], "attn.proj": [c, c],
                 "norm2.0": [c], "mlp.0.fc1": [4 * c, c], "mlp.0.fc2": [c, 4 * c]}
        shapes.update({f"{at}block0.{part}": shape for part, shape in block.items()})
    both = [(f"{part}.{end}", shape if end == "weight" else shape[:1]) for part, shape in shapes.items() for end in ["weight", "bias"]]
    weights = {name: ((torch.arange(np.prod(shape)) + i) % 128).float().view(shape) for i, (name, shape) in enumerate(both)}
    torch.save(trained(weights), folder / "trainer.pth")
    brain = {name: tensor.bfloat16() for name, tensor in weights.items()}
    torch.save(brain, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    backbone = {name.removeprefix("backbone."): tensor.half() for name, tensor in weights.items() if name.startswith("backbone.")}
    config = {"in_channels": 6, "enc_patch_size": (48, 24), "order": ("z", "z-trans"), "enc_mode": True, "qk_scale": None}
    torch.save({"config": config, "state_dict": backbone}, folder / "sonata.pth")


def main():
    count = 0
    for golden in sorted(goldens.glob("*.safetensors")):
        with safe_open(golden, "pt") as file:
            metadata = file.metadata() or {}
        everything = load_file(golden)
        weights = {name: tensor for name, tensor in everything.items() if is_weight(name)}
        if not weights:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            config, model = folder / "config.json", folder / "model.safetensors"
            config.write_text(metadata["config"])
            for path in layouts(folder, weights):
                convert(path, model, "--config", config)
                same_bits(weights, model)
                if json.loads(metadata["config"])["backbone"]["enc_channels"]:
                    convert(path, model)  # deduced
                    same_bits(weights, model)
                count += 1
            recorded = {name: tensor for name, tensor in everything.items() if not is_weight(name)}
            replaced = folder / golden.name
            save_file({**recorded, **load_file(model)}, replaced, metadata)
            run = subprocess.run([program, "check", replaced, "--device", "cpu", "--quiet"], capture_output=True, text=True)
            assert run.returncode == 0, f"{golden}: {run.stdout}{run.stderr}"
            half = {name: tensor.to(torch.bfloat16) for name, tensor in weights.items()}
            torch.save(half, folder / "half.pth")
            assert convert(folder / "half.pth", model)["dtype"] == "bf16"

            encoder = {n.removeprefix("backbone."): t for n, t in weights.items() if n.startswith(("backbone.embedding", "backbone.enc"))}
            sonata = {f"module.{who}.backbone.{n}": t for who in ["student", "teacher"] for n, t in encoder.items()}
            sonata["module.student.mask_head.mlp.0.weight"] = torch.zeros(3)
            torch.save({"epoch": 1, "state_dict": sonata}, folder / "sonata.pth")
            told = convert(folder / "sonata.pth", model, "--classes", "scannet20")
            assert told["missing"] == ["seg_head.weight", "seg_head.bias"], told["missing"]
            assert len(told["taken"]) == len(encoder) and told["classes"] == 20
            settings = json.loads(metadata["config"])["backbone"]
            settings.pop("type")
            bare = {"config": {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}, "state_dict": encoder}
            torch.save(bare, folder / "bare.pth")
            assert convert(folder / "bare.pth", model)["missing"] == ["seg_head.weight", "seg_head.bias"]
        print(golden.name, "holds")
    refusals()
    print(f"{count} checkpoints came back bit for bit")


class Harm:
    def __reduce__(self):
        return os.system, ("touch harm",)


def refusals():
    with tempfile.TemporaryDirectory() as name:
        for content, part in [
            ({"state_dict": {}, "x": Harm()}, "posix.system" if os.name == "posix" else "nt.system"),
            (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
            ({"backbone.w": torch.zeros(1).expand(5)}, "repeats the 1 elements"),
            ([1, 2], "no dictionary"),
        ]:
            for is_zip in [True, False]:
                path = Path(name) / "refused.pth"
                torch.save(content, path, _use_new_zipfile_serialization=is_zip)
                run = subprocess.run([program, "info", path], capture_output=True, text=True, cwd=name)
                assert run.returncode == 1 and part in run.stderr, run.stderr
        path.write_bytes(pickle.dumps({"a": 1}))
        run = subprocess.run([program, "info", path], capture_output=True, text=True)
        assert run.returncode == 1 and "none that `torch.save` wrote" in run.stderr, run.stderr
        assert not (Path(name) / "harm").exists()


if __name__ == "__main__":
    fixtures(goldens) if sys.argv[1] == "--fixtures" else main()
