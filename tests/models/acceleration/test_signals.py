"""A signal reaches Python, whatever became of the models that OpenVINO compiled before."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino", reason="openvino is not installed (extra cpu)")

MAKE_AND_DROP = """
import gc, os, signal, threading
import torch
from models.acceleration.cpu.openvino import OpenVinoCall

def make():
    module = torch.nn.Linear(4, 4)
    call = OpenVinoCall(
        module, (torch.zeros(1, 4),), precision="f32", threads=1, on_failure=print
    )
    call(torch.zeros(1, 4))
    return [call]

def drop(held):
    held.clear()
    gc.collect()

{order}
came = []
signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
os.kill(os.getpid(), signal.SIGINT)
assert came == [signal.SIGINT]
"""

ORDERS = {
    "oldest_first": "first = make(); second = make(); drop(first); drop(second)",
    "in_another_thread": """
held = make()
thread = threading.Thread(target=drop, args=(held,))
thread.start()
thread.join()
""",
}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has these stacks")
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_signal_after_compiled_models_are_gone_is_handled(order: str) -> None:
    program = MAKE_AND_DROP.format(order=order)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
