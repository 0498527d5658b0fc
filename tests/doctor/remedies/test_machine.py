"""Number formats, workers, seeds and memory are mended where they are written."""

from __future__ import annotations

from tests.doctor.remedies.programs import Program


def test_weights_and_inputs_are_kept_in_float32() -> None:
    text = """
        net.bfloat16()
        x = x.half()
        y = y.to(torch.float16)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = net(x)
    """
    made = Program(text).model("net", at="net.bf")
    (mended,) = made.mended("low-precision")
    assert mended == (
        "x = x.float()\ny = y.to(torch.float32)\n"
        'with torch.autocast("cpu", dtype=torch.bfloat16):\n    loss = net(x)\n'
    )


def test_workers_read_ahead() -> None:
    made = Program("loader = DataLoader(\n    data,\n    batch_size=8,\n)\n")
    (mended,) = made.mended("data-stall", at="DataLoader")
    assert "batch_size=8, num_workers=4,\n" in mended
    made = Program("loader = DataLoader(data, num_workers=4)\n")
    assert made.first("data-stall", at="loader")[1] == "+ loader = DataLoader(data, num_workers=8)"


def test_workers_draw_numbers_of_their_own() -> None:
    text = """
        import numpy as np
        import torch
        class Noisy(Dataset):
            def __init__(self):
                self.rng = np.random.default_rng(0)
        if main:
            loader = DataLoader(Noisy(), num_workers=2)
    """
    assert Program(text).first("identical-workers", at="loader =") == [
        "+ def seed_worker(worker):",
        "+ torch.utils.data.get_worker_info().dataset.rng = "
        "np.random.default_rng(torch.initial_seed() % 2**32)",
        "- loader = DataLoader(Noisy(), num_workers=2)",
        "+ loader = DataLoader(Noisy(), num_workers=2, worker_init_fn=seed_worker)",
    ]


def test_a_function_that_seeds_workers_is_used() -> None:
    text = """
        def reseed(worker):
            np.random.seed(torch.initial_seed() % 2**32)
        loader = DataLoader(data, num_workers=2)
    """
    told = Program(text).first("identical-workers", at="loader =")
    assert told[1] == "+ loader = DataLoader(data, num_workers=2, worker_init_fn=reseed)"


def test_generators_are_seeded() -> None:
    text = "import numpy as np\nimport torch\n\nopt = SGD(net.parameters(), 1)\n"
    made = Program(text).optimizer(made_at="SGD")
    made.evidence.unseeded = ["torch", "numpy"]
    (mended,) = made.mended("not-reproducible")
    assert mended == text.replace("torch\n", "torch\n\ntorch.manual_seed(0)\nnp.random.seed(0)\n")


def test_batches_are_halved() -> None:
    text = "batch_size = 64\nloader = DataLoader(data, batch_size=batch_size)\nloss = net(x)\n"
    told = Program(text).first("out-of-memory", at="loss =")
    assert told == ["- batch_size = 64", "+ batch_size = 32"]


def test_an_evaluation_keeps_no_graph() -> None:
    text = "import torch\ndef judge(net):\n    for x in data:\n        out = net(x)\n"
    told = Program(text).first("out-of-memory", at="out =")
    assert told == ["+ @torch.no_grad()"]
