// Text of a page, in shadow roots too, whose color stands out too little from what is behind it.
() => {
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = color;
    pixel.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const parent = (node) => node.assignedSlot || node.parentElement || node.getRootNode().host || null;
  const chain = (node) => { const all = []; for (let one = node; one; one = parent(one)) all.push(one); return all; };
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const judge = (node, text) => {
    const all = chain(node);
    const styles = all.map((one) => getComputedStyle(one));
    const box = node.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || styles.some((one) => one.visibility === "hidden" || one.opacity === "0")) return null;
    if (all.some((one) => one.disabled || one.getAttribute?.("aria-disabled") === "true" || one.tagName === "VIDEO" || one.classList?.contains("picture"))) return null;
    let behind = dark ? [18, 18, 18, 1] : [255, 255, 255, 1];
    for (const style of [...styles].reverse()) behind = over(rgba(style.backgroundColor), behind);
    const opacity = styles.reduce((product, one) => product * Number(one.opacity), 1);
    const [r, g, b, a] = rgba(styles[0].color);
    const front = over([r, g, b, a * opacity], behind);
    const [light, deep] = [luminance(front), luminance(behind)].sort((x, y) => y - x);
    const ratio = (light + 0.05) / (deep + 0.05);
    const size = parseFloat(styles[0].fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(styles[0].fontWeight) >= 700);
    return ratio < (large ? 3 : 4.5) ? `${ratio.toFixed(2)} ${node.tagName}.${node.className} “${text.slice(0, 40)}”` : null;
  };
  const found = new Set();
  let seen = 0;
  const walk = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) walk(node.shadowRoot);
      if (["STYLE", "SCRIPT", "TITLE", "NOSCRIPT", "OPTION"].includes(node.tagName)) continue;
      if (node.type === "range" || node.closest('[data-testid="stSliderThumbValue"]')) continue; // not on what holds it
      const own = node.value && node.tagName !== "BUTTON" ? String(node.value) : [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join("");
      if (!own) continue;
      seen += 1;
      const problem = judge(node, own);
      if (problem) found.add(problem);
    }
  };
  walk(document);
  const app = document.querySelector(".stApp");
  return { seen, found: [...found], back: app ? getComputedStyle(app).backgroundColor : String(dark) };
}
