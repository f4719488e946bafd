// Boxes with numbers and skeletons over a video, frame by frame, on a canvas of the video's size.

const BONES = [
  [5, 7], [7, 9], [6, 8], [8, 10], [5, 6], [5, 11], [6, 12], [11, 12], [11, 13], [13, 15], [12, 14],
  [14, 16], [0, 1], [0, 2], [1, 3], [2, 4],
];
const LEAST_SCORE = 0.2;

// Neighboring numbers get far hues; light enough to read on dark and bright footage.
function trackColor(trackId) {
  return `hsl(${(trackId * 137.508) % 360} 90% 62%)`;
}

class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.data = null;
    this.chosen = new Set();
    this.show = { boxes: false, skeletons: false };
  }

  // Persons on the screen at `time`: those of the last frame that is not after it.
  persons(time) {
    if (!this.data) return [];
    let found = null;
    for (const frame of this.data.frames) {
      if (frame.t > time + 0.004) break;
      found = frame;
    }
    return found ? found.persons : [];
  }

  trackIds() {
    const ids = new Set();
    for (const frame of this.data ? this.data.frames : []) for (const one of frame.persons) ids.add(one.track_id);
    return [...ids].sort((a, b) => a - b);
  }

  // The picture lies in the middle of the canvas, as large as fits: its scale and left top corner.
  fit() {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = Math.min(clientWidth / this.data.width, clientHeight / this.data.height);
    return {
      scale,
      left: (clientWidth - this.data.width * scale) / 2,
      top: (clientHeight - this.data.height * scale) / 2,
    };
  }

  draw(time) {
    const { canvas } = this;
    const wanted = Boolean(this.data && (this.show.boxes || this.show.skeletons));
    if (!wanted && !this.drawn) return;
    this.drawn = wanted;
    const density = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth * density, canvas.clientHeight * density].map(Math.round);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!wanted) return;
    const { scale, left, top } = this.fit();
    pen.setTransform(scale * density, 0, 0, scale * density, left * density, top * density);
    for (const person of this.persons(time)) {
      if (this.show.skeletons) this.skeleton(pen, person, 1 / scale);
      if (this.show.boxes) this.box(pen, person, 1 / scale);
    }
  }

  skeleton(pen, person, pixel) {
    const joints = person.keypoints || [];
    const seen = (index) => joints[index] && joints[index][2] >= LEAST_SCORE && joints[index][0] !== null;
    pen.strokeStyle = trackColor(person.track_id);
    pen.lineWidth = 2 * pixel;
    pen.beginPath();
    for (const [from, to] of BONES) {
      if (!seen(from) || !seen(to)) continue;
      pen.moveTo(joints[from][0], joints[from][1]);
      pen.lineTo(joints[to][0], joints[to][1]);
    }
    pen.stroke();
    pen.fillStyle = "#fff";
    for (let index = 0; index < joints.length; index += 1) {
      if (seen(index)) pen.fillRect(joints[index][0] - 1.2 * pixel, joints[index][1] - 1.2 * pixel, 2.4 * pixel, 2.4 * pixel);
    }
  }

  box(pen, person, pixel) {
    const [x1, y1, x2, y2] = person.xyxy;
    const chosen = this.chosen.has(person.track_id);
    pen.strokeStyle = trackColor(person.track_id);
    pen.lineWidth = (chosen ? 4 : 1.5) * pixel;
    pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const text = chosen ? `✓ ${person.track_id}` : String(person.track_id);
    pen.font = `600 ${12 * pixel}px system-ui, sans-serif`;
    const width = pen.measureText(text).width + 8 * pixel;
    const above = Math.max(y1 - 16 * pixel, 0);
    pen.fillStyle = trackColor(person.track_id);
    pen.fillRect(x1 - pen.lineWidth / 2, above, width, 16 * pixel);
    pen.fillStyle = "#10131a";
    pen.fillText(text, x1 + 4 * pixel - pen.lineWidth / 2, above + 12 * pixel);
  }

  // Number of the person whose box is under the pointer, the smallest box where several are.
  at(event, time) {
    if (!this.data) return null;
    const place = this.canvas.getBoundingClientRect();
    const { scale, left, top } = this.fit();
    const x = (event.clientX - place.left - left) / scale;
    const y = (event.clientY - place.top - top) / scale;
    let best = null;
    let least = Infinity;
    for (const { track_id: id, xyxy: [x1, y1, x2, y2] } of this.persons(time)) {
      const area = (x2 - x1) * (y2 - y1);
      if (x >= x1 && x <= x2 && y >= y1 && y <= y2 && area < least) [best, least] = [id, area];
    }
    return best;
  }
}
