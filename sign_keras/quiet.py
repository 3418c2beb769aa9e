"""TensorFlow without its start-up chatter."""

import os

from tfrecords_tools.command_line import quiet_stderr


def quiet_tensorflow(*, run_half_op: bool = False, log_errors: bool = True) -> None:
    """Imports TensorFlow and lists its devices without their start-up chatter; what it says later is seen.

    Takes seconds: a command calls it after its arguments are parsed, and before it imports anything that
    needs TensorFlow.

    Args:
        run_half_op: see ``let_onednn_complain``. It fixes the devices: not for a command that sets up logical
            devices or several workers later.
        log_errors: whether C++ writes down errors that it raises as well; of connections it writes many.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if log_errors else "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with quiet_stderr():
        import tensorflow as tf

        # The first look for a GPU complains where there is none; it reserves no memory.
        tf.config.list_physical_devices()
    if run_half_op:
        let_onednn_complain()


def let_onednn_complain() -> None:
    """Runs a first float16 operation unheard: on a type that it lacks on this CPU, oneDNN complains once a process,
    as an error, and then does without.
    """
    with quiet_stderr():
        import tensorflow as tf

        tf.cast(tf.zeros([1], tf.float16), tf.float32)
