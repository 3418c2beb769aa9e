// Keypoints over the picture, and glosses beside it.

const COLOURS = { pose: "#f4f1e8", left_hand: "#ffb454", right_hand: "#5fd3c8", face: "rgba(244, 241, 232, .55)" };

export function drawLandmarks(canvas, video, groups, bones) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!groups || !video.videoWidth) return;
  // The picture is fitted into the stage: beside it there may be margins.
  const fit = Math.min(width / video.videoWidth, height / video.videoHeight);
  const [shownWidth, shownHeight] = [video.videoWidth * fit, video.videoHeight * fit];
  const [left, top] = [(width - shownWidth) / 2, (height - shownHeight) / 2];
  const place = ([x, y]) => [left + x * shownWidth, top + y * shownHeight];
  context.lineCap = context.lineJoin = "round";
  for (const [group, points] of Object.entries(groups)) {
    if (!points) continue;
    context.strokeStyle = context.fillStyle = COLOURS[group];
    context.lineWidth = Math.max(1.5, width / (group === "pose" ? 160 : 260));
    context.beginPath();
    for (const [start, end] of bones[group] ?? []) {
      context.moveTo(...place(points[start]));
      context.lineTo(...place(points[end]));
    }
    context.stroke();
    if (group === "pose") continue; // the rest of a body is not drawn
    const radius = group === "face" ? Math.max(0.6, width / 900) : Math.max(1.6, width / 220);
    for (const point of points) {
      const [x, y] = place(point);
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

export function showBars(list, scores, numRows) {
  while (list.children.length < numRows) {
    const row = document.createElement("li");
    row.innerHTML = '<span class="gloss"></span><span class="share"></span><div class="track"><div class="fill"></div></div>';
    list.append(row);
  }
  [...list.children].forEach((row, index) => {
    const score = scores[index];
    row.querySelector(".gloss").textContent = score?.gloss ?? "\u2013";
    row.querySelector(".share").textContent = score ? `${Math.round(score.probability * 100)} %` : "";
    row.querySelector(".fill").style.width = `${(score?.probability ?? 0) * 100}%`;
  });
}

export function addGloss(text, gloss, title, isDoubted = false) {
  const word = document.createElement("span");
  word.textContent = gloss;
  word.title = title;
  if (isDoubted) word.className = "doubted";
  text.append(word, " ");
  while (text.childElementCount > 200) text.firstElementChild.remove();
  text.scrollTop = text.scrollHeight;
}
