// A patch and the nearest good one, as pictures in one scale of colours; the frame is the patch.

const patchOf = ({ picture, patch }, words) => {
  const figure = element("figure");
  const shown = element("div", "", "patch");
  const image = element("img");
  image.src = `data:image/png;base64,${picture}`;
  image.alt = words;
  const frame = element("i");
  ["left", "top", "width", "height"].forEach((edge, n) => { frame.style[edge] = `${100 * patch[n]}%`; });
  shown.append(image, frame);
  figure.append(shown, element("figcaption", words));
  return figure;
};

const besideOf = (pair) => {
  const made = element("div", "", "beside");
  const scale = element("p", pair.quantity, "soft");
  if (pair.ends) {
    const [first, last] = pair.ends.map((value) => written(value, 3));
    scale.append(" ", ramp(pair.colors, first, last, unitOf(pair.unit)));
  }
  made.append(patchOf(pair.own, "this part"), patchOf(pair.good, pair.capture), scale);
  return made;
};
