import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from sign_keras import serve
from sign_keras.serve import TOKEN_VARIABLE, main
from sign_keras.serving.settings import ServeSettings, load_settings
from tests.conftest import REPOSITORY
from tests.sign_keras.export.tiny_export import make_run


def test_help_is_quick(assert_help_is_quick):
    assert_help_is_quick("sign_keras.serve")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "gone"], "gone: no such file or directory"),
        (["--model", "x", "--port", "70000"], "--port 70000: expected a number from 0 to 65535"),
        (["--model", "x", "--token", ""], "--token: expected letters"),
        (["--model", "x", "--token", "a b\n"], "--token: expected letters"),
        (["--model", "x", "--tls-cert", "c.pem"], "--tls-cert and --tls-key go together"),
        (["--model", "x", "--tls-cert", "c.pem", "--tls-key", "k.pem"], "c.pem: no such file"),
        (["--model", "x", "--set", "upload.second=3"], "upload.second: unknown key; did you mean seconds?"),
        (["--model", "x", "--set", "live.cameras=-1"], "live.cameras: "),
        (["--model", "x", "--settings", "gone.yaml"], "gone.yaml: no such file"),
    ],
)
def test_mistakes_are_one_line(run_main, monkeypatch, tmp_path, arguments, reason):
    monkeypatch.chdir(tmp_path)
    status, out, err = run_main(main, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert reason in err


def test_a_missing_extra_is_named(run_main, monkeypatch):
    monkeypatch.setattr(serve, "NEEDED", ("json", "no_such_package"))
    status, _, err = run_main(main, "--model", "x")
    assert (status, err) == (
        2,
        "error: no_such_package: not installed; pip install 'sign_keras[serve]' brings what serving needs\n",
    )


def test_an_open_server_without_a_token_is_warned_about(run_main, monkeypatch, tmp_path):
    (tmp_path / "broken.tflite").write_text("x")
    for host, token, warned in [("0.0.0.0", "", True), ("127.0.0.1", "", False), ("::", "t", False)]:
        monkeypatch.setenv(TOKEN_VARIABLE, token) if token else monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
        status, _, err = run_main(main, "--model", tmp_path / "broken.tflite", "--host", host)
        assert status == 2
        assert ("warning: everybody who reaches 0.0.0.0" in err) == warned


def test_settings_come_from_a_file_and_the_command_line(tmp_path):
    path = tmp_path / "serve.yaml"
    path.write_text("top_k: 3\nupload: {seconds: 20, megabytes: 8}\nsigns: {hold_seconds: 0.5}\n")
    settings = load_settings(path, ["upload.seconds=10"])
    assert (settings.top_k, settings.upload.seconds, settings.upload.megabytes) == (3, 10, 8)
    assert settings.signs.hold_seconds == 0.5
    assert settings.live == ServeSettings().live
    assert load_settings(None, []) == ServeSettings()


@pytest.mark.slow
def test_the_command_serves_over_tls_and_stops(tiny_records, tmp_path):
    run, _ = make_run(tiny_records, tmp_path / "runs" / "tiny")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    command = [sys.executable, "-m", "sign_keras.serve", "--model", run.directory, "--port", "0"]
    command += ["--tls-cert", certificate, "--tls-key", key, "--set", "live.cameras=0"]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=os.environ | {TOKEN_VARIABLE: "s3cret"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        url = re.search(r"https://127\.0\.0\.1:\d+", process.stdout.readline())[0]
        context = ssl.create_default_context(cafile=certificate)
        assert urllib.request.urlopen(f"{url}/", context=context, timeout=60).status == 200
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/labels", context=context, timeout=60)
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert err == ""
