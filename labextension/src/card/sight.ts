/** What is on screen: hundreds of cards in a notebook share one observer. */

type Told = (seen: boolean) => void;

const told = new WeakMap<Element, Told>();
let observer: IntersectionObserver | null = null;

/** Say by `tell` when `node` comes on screen and leaves it, until what is returned is called. */
export function watchSight(node: Element, tell: Told): () => void {
  observer ??= new IntersectionObserver(entries => {
    for (const entry of entries) {
      told.get(entry.target)?.(entry.isIntersecting);
    }
  });
  told.set(node, tell);
  observer.observe(node);
  return () => {
    told.delete(node);
    observer?.unobserve(node);
  };
}
