// One map by itself; the page with two of them mounts its own.

const maps = new WeakMap();

export default function (component) {
  return mountOnce(maps, component, (root) => new MapView(root));
}
