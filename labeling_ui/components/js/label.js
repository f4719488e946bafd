// Streamlit calls this for each mount and whenever the data change.

const SURFACES = new WeakMap();

export default function mount({ data, parentElement, setTriggerValue }) {
  const before = SURFACES.get(parentElement);
  const same = before && before.data === JSON.stringify(data);
  if (same) return before.close;
  before?.close();
  const root = parentElement.querySelector("main") || h("main", {});
  const surface = new Surface(root, { ...data, finished: () => setTriggerValue("finished", true) });
  surface.start();
  const mounted = { data: JSON.stringify(data), close: () => { surface.close(); SURFACES.delete(parentElement); } };
  SURFACES.set(parentElement, mounted);
  return mounted.close;
}
