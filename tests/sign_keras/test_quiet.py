import subprocess
import sys

from tests.conftest import REPOSITORY

SCRIPT = """
import os
from sign_keras.quiet import quiet_tensorflow
quiet_tensorflow(run_half_op=True)
import tensorflow as tf
half = tf.cast(tf.zeros([1], tf.float16), tf.float32)  # many CPUs complain of this one, once a process
tf.where(half > 0, half, half)
os.write(2, b"said later")
"""


def test_nothing_is_heard_of_the_start_and_all_of_what_comes_later():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stderr == "said later"
    assert done.stdout == ""
