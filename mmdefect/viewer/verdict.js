// What was decided, and what another threshold would have decided.

const VERDICTS = {
  good: "good", defect: "defect", refer: "refer", not_inspectable: "not inspectable",
};

// The verdict at a threshold: zones and what a sensor's fault decided stay as they were.
const verdictAt = (told, threshold) => {
  const { image_score: score, verdict, zones } = told;
  if (threshold === told.threshold) return verdict;
  if (score === null) return verdict;
  const own = score > threshold ? "defect" : "good";
  const others = Object.values(zones || {}).map((zone) => zone.verdict);
  if (others.includes("defect")) return "defect";
  if (isFixed(told)) return verdict;
  if (own === "defect") return "defect";
  return others.every((one) => one === "good") ? "good" : "refer";
};

// Whether something other than the score decided.
const isFixed = (told) => {
  const { image_score: score, verdict, threshold, zones } = told;
  if (score === null) return true;
  if (Object.keys(told.faults || {}).length && verdict === "refer") return true;
  if (threshold === null || Object.keys(zones || {}).length) return false;
  return verdict !== (score > threshold ? "defect" : "good");
};

const rangeOf = (told) => {
  const known = [...told.good_scores, told.image_score, told.threshold]
    .filter((one) => Number.isFinite(one));
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const margin = 0.06 * Math.max(high - low, 1e-6);
  return [Math.min(low - margin, 0), high + margin];
};

const consequence = (told, threshold) => {
  const good = told.good_scores;
  if (!good.length) return "No good part is known that had the same sensors.";
  const above = good.filter((one) => one > threshold).length;
  return `${above} of ${good.length} good parts that were kept for calibration lie above this ` +
    `threshold: at most ${written((100 * (above + 1)) / (good.length + 1), 2)} % false alarms ` +
    "are to be expected.";
};

// Good parts as dots, the threshold as a line, this part as a diamond.
const drawStrip = (canvas, told, threshold) => {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(58 * ratio);
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.body);
  const [ink, soft] = [style.color, style.getPropertyValue("--soft")];
  const [low, high] = rangeOf(told);
  const margin = 8;
  const inner = canvas.clientWidth - 2 * margin;
  const at = (score) => margin + (inner * (score - low)) / (high - low);
  context.scale(ratio, ratio);
  context.strokeStyle = soft;
  context.beginPath();
  context.moveTo(margin, 40.5);
  context.lineTo(margin + inner, 40.5);
  context.stroke();
  context.fillStyle = soft;
  const rows = new Map();
  for (const score of told.good_scores) {
    const slot = Math.round(at(score) / 4);
    const level = rows.get(slot) || 0;
    rows.set(slot, level + 1);
    context.globalAlpha = 0.7;
    context.beginPath();
    context.arc(at(score), 36 - Math.min(level, 7) * 4, 2.2, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
  context.font = "11px system-ui, sans-serif";
  context.fillText("good parts", margin, 55);
  if (Number.isFinite(threshold)) {
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(at(threshold), 2);
    context.lineTo(at(threshold), 44);
    context.stroke();
    context.setLineDash([]);
  }
  if (told.image_score === null) return;
  const x = at(told.image_score);
  context.fillStyle = "#d55e00";
  context.strokeStyle = ink;
  context.lineWidth = 1;
  context.beginPath();
  for (const [dx, dy] of [[0, -8], [7, 0], [0, 8], [-7, 0]]) context.lineTo(x + dx, 40 + dy);
  context.closePath();
  context.fill();
  context.stroke();
  context.fillStyle = ink;
  if (x < margin + 130) return;
  context.textAlign = x > margin + inner / 2 ? "right" : "left";
  context.fillText("this part", x + (x > margin + inner / 2 ? 8 : -8), 55);
};
