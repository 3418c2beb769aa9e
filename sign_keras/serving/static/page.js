// The page: a camera or a file, what the model says of it, and nothing kept.

import { Connection } from "./connection.js";
import { addGloss, drawLandmarks, showBars } from "./drawing.js";

const PICTURES_PER_SECOND = 20; // at most; the server's pace decides
const LONGEST_SIDE = 640;
const QUALITY = 0.8;
const MOST_BARS = 5;

const element = (id) => document.getElementById(id);
const [video, overlay, stage, text, bars] = ["video", "overlay", "stage", "text", "bars"].map(element);
const picture = document.createElement("canvas");

const state = { token: takeToken(), connection: null, numBars: MOST_BARS, bones: {}, file: null, facing: "user", timer: 0, began: 0, latency: 0, times: [] };

function takeToken() {
  // A link may bring the token behind the #, which browsers send to nobody.
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    sessionStorage.setItem("token", token);
    history.replaceState(null, "", location.pathname);
  }
  return token ?? sessionStorage.getItem("token");
}

function say(message, isFault = false) {
  element("status").textContent = message;
  element("status").classList.toggle("fault", isFault);
}

async function ask(path, options = {}) {
  const headers = state.token ? { Authorization: `Bearer ${state.token}` } : {};
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) {
    element("token-form").hidden = false;
    element("token").focus();
    throw new Error(state.token ? "That is not the token." : "Please enter the token first.");
  }
  const content = await response.json().catch(() => ({ detail: `The server answers ${response.status}.` }));
  if (!response.ok) throw new Error(content.detail);
  element("token-form").hidden = true;
  return content;
}

async function greet() {
  element("host").textContent = location.host;
  try {
    const labels = await ask("labels");
    element("count").textContent = labels.glosses.length;
    state.numBars = Math.min(MOST_BARS, labels.glosses.length);
    showBars(bars, [], state.numBars);
    element("model").textContent = `${labels.model} \u00b7 ${labels.glosses.length} glosses \u00b7 ${
      labels.task === "isolated" ? "sign by sign" : "whole sentences"}`;
    say("Ready.");
  } catch (error) {
    say(error.message, true);
  }
}

// ---- streams

function openStream() {
  const connection = new Connection(state.token, {
    ready(message) {
      state.bones = message.bones;
      say("Connected; looking for the first picture \u2026");
    },
    result(message) {
      if (connection !== state.connection) return; // it was stopped meanwhile; its signs still count
      state.latency = message.latency;
      state.times.push(performance.now());
      drawLandmarks(overlay, video, message.landmarks, state.bones);
      stage.classList.toggle("active", message.active);
      if (message.scores.length) showBars(bars, message.scores, state.numBars);
      showPace(message.dropped);
    },
    event(message) {
      if (message.kind === "sign") {
        const share = Math.round(message.confidence * 100);
        addGloss(text, message.gloss, `${message.start_seconds.toFixed(1)} s, ${share} %`);
      }
    },
    finished: () => connection.close(),
    fault(reason) {
      stop();
      say(reason, true);
    },
  });
  connection.open();
  return connection;
}

function showPace(dropped) {
  const now = performance.now();
  state.times = state.times.filter((time) => now - time < 2000);
  const skipped = dropped ? ` \u00b7 ${dropped} left out` : "";
  const pace = Math.round(state.times.length / 2);
  say(`${pace} picture${pace === 1 ? "" : "s"} a second \u00b7 answered after ${state.latency.toFixed(0)} ms${skipped}`);
}

function watch(seconds) {
  state.connection = openStream();
  state.began = performance.now();
  const next = () => {
    state.timer = setTimeout(next, 1000 / PICTURES_PER_SECOND);
    const connection = state.connection;
    if (!connection?.isRoomy || video.readyState < 2 || !video.videoWidth) return;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    picture.width = Math.round(video.videoWidth * scale);
    picture.height = Math.round(video.videoHeight * scale);
    picture.getContext("2d").drawImage(video, 0, 0, picture.width, picture.height);
    const taken = seconds();
    picture.toBlob((blob) => blob && connection.send(blob, taken), "image/jpeg", QUALITY);
  };
  next();
}

function stop() {
  clearTimeout(state.timer);
  state.connection?.finish(); // its last signs still come
  state.connection = null;
  video.srcObject?.getTracks().forEach((track) => track.stop());
  if (video.srcObject) stage.classList.remove("playing");
  video.srcObject = null;
  video.pause();
  stage.classList.remove("active");
  drawLandmarks(overlay, video, null, {});
  element("camera").textContent = "Start camera";
  element("switch").hidden = true;
}

// ---- camera

async function startCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    say("Browsers give the camera to HTTPS pages, or on this machine itself, only. Start the server with --tls-cert and " +
      "--tls-key, or choose a video.", true);
    return;
  }
  try {
    video.removeAttribute("src");
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: state.facing, width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } },
    });
    await video.play();
  } catch (error) {
    video.srcObject = null;
    say(error.name === "NotAllowedError" ? "The browser was not allowed to use the camera." :
      error.name === "NotFoundError" ? "There is no camera; choose a video instead." :
      `The camera does not start: ${error.message}`, true);
    return;
  }
  showFileButtons(false);
  stage.classList.add("playing");
  // A mirror is what people expect of their own picture; what is sent is not mirrored.
  stage.classList.toggle("mirrored", state.facing === "user");
  element("camera").textContent = "Stop camera";
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
  element("switch").hidden = cameras.length < 2;
  const began = performance.now();
  watch(() => (performance.now() - began) / 1000);
}

// ---- files

function showFileButtons(shown) {
  element("read").hidden = element("watch").hidden = !shown;
}

function chooseFile(file) {
  stop();
  state.file = file;
  if (video.src) URL.revokeObjectURL(video.src);
  video.src = URL.createObjectURL(file);
  stage.classList.remove("mirrored");
  stage.classList.add("playing");
  showFileButtons(true);
  say(file.name);
}

async function readFile() {
  stop();
  const button = element("read");
  button.disabled = true;
  say("Sending and reading \u2026 this takes about as long as the video.");
  video.currentTime = 0;
  video.play().catch(() => {});
  try {
    const form = new FormData();
    form.append("file", state.file);
    const answer = await ask("predict", { method: "POST", body: form });
    if (answer.predictions) {
      showBars(bars, answer.predictions, state.numBars);
      const [best] = answer.predictions;
      const share = `${Math.round(best.probability * 100)} %`;
      if (answer.accepted) addGloss(text, best.gloss, share);
      else addGloss(text, "(no sign that it knows)", share, true);
    } else {
      for (const sign of answer.predicted_glosses) {
        addGloss(text, sign.gloss, `${sign.start_seconds.toFixed(1)} s, ${Math.round(sign.confidence * 100)} %`);
      }
      if (!answer.predicted_glosses.length) addGloss(text, "(no signs that it knows)", "", true);
    }
    say(answer.cut ? "Read; the video is longer than the model takes, which saw its middle alone." : "Read.");
  } catch (error) {
    say(error.message, true);
  }
  button.disabled = false;
}

function watchFile() {
  stop();
  video.currentTime = 0;
  video.play().then(() => watch(() => video.currentTime), (error) => say(`The video does not play: ${error.message}`, true));
}

// ---- wiring

element("camera").onclick = () => (video.srcObject ? (stop(), say("Stopped.")) : (stop(), startCamera()));
element("switch").onclick = () => {
  stop();
  state.facing = state.facing === "user" ? "environment" : "user";
  startCamera();
};
element("file").onchange = ({ target }) => {
  if (target.files.length) chooseFile(target.files[0]);
  target.value = ""; // the same file may be chosen again
};
element("read").onclick = readFile;
element("watch").onclick = watchFile;
element("clear").onclick = () => text.replaceChildren();
element("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText([...text.querySelectorAll("span:not(.doubted)")].map((word) => word.textContent).join(" "));
    say("Copied.");
  } catch {
    say("The browser does not let pages copy here; select the text instead.", true);
  }
};
element("token-form").onsubmit = (event) => {
  event.preventDefault();
  state.token = element("token").value;
  sessionStorage.setItem("token", state.token);
  greet();
};
video.onloadedmetadata = () => {
  // The stage takes the picture's shape, as far as a screen is not filled by it.
  const shape = video.videoWidth / video.videoHeight;
  const narrowest = matchMedia("(max-width: 52rem)").matches ? 0.9 : 4 / 3;
  if (shape) stage.style.aspectRatio = Math.min(1.9, Math.max(narrowest, shape));
};
video.onended = () => {
  if (state.connection) stop();
};
video.onerror = () => {
  if (video.getAttribute("src")) say("This browser cannot play the video; the server may still read it.", true);
};
greet();
