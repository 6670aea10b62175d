/** Amounts and times in words, as the kernel's cards spell them. */

const NOS = 1_000_000;

/** Write micro-NOS with as many places as their size needs: `12.4 NOS`, `0.0021 NOS`. */
export function nos(micro: number): string {
  return `${places(micro / NOS)} NOS`;
}

/** Write lamports. */
export function sol(lamports: number): string {
  return `${places(lamports / 1_000_000_000)} SOL`;
}

/** Write micro-dollars: cents from ten cents up, more places below. */
export function usd(micro: number): string {
  const dollars = micro / 1_000_000;
  const size = Math.abs(dollars);
  if (size === 0 || size >= 0.095) {
    return `$${grouped(dollars, 2)}`;
  }
  if (size < 0.0001) {
    return '<$0.0001';
  }
  return `$${dollars.toFixed(size < 0.0095 ? 4 : 3)}`;
}

/** Write seconds as a clock that ticks: `0:07`, `12:40`, `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (count: number): string => String(count).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

/** Write a length of time in one or two words: `40 s`, `3 min`, `2 h 5 min`, `4 days`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) {
    return `${whole} s`;
  }
  if (whole < 3600) {
    return `${Math.round(whole / 60)} min`;
  }
  if (whole < 86_400) {
    const minutes = Math.round((whole % 3600) / 60);
    return minutes ? `${Math.floor(whole / 3600)} h ${minutes} min` : `${whole / 3600 | 0} h`;
  }
  const days = Math.round(whole / 86_400);
  return days === 1 ? '1 day' : `${days} days`;
}

/** Write how long ago a Unix time is, or its date where that is further away. */
export function ago(at: number, now: number): string {
  const gone = now - at;
  if (gone < 45) {
    return 'just now';
  }
  if (gone < 7 * 86_400) {
    return `${gone < 86_400 && gone >= 3600 ? `${Math.floor(gone / 3600)} h` : span(gone)} ago`;
  }
  return new Date(at * 1000).toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
}

/** Write both ends of an address. */
export function short(address: string): string {
  return address.length > 12 ? `${address.slice(0, 4)}…${address.slice(-4)}` : address;
}

/** Return the name of a card without its maker. */
export function plainName(gpu: string): string {
  return gpu.replace(/\b(nvidia|geforce)\b/gi, '').replace(/\s+/g, ' ').trim();
}

function places(amount: number): string {
  const size = Math.abs(amount);
  if (size === 0) {
    return '0';
  }
  if (size >= 100) {
    return grouped(amount, 0);
  }
  if (size >= 0.1) {
    return grouped(amount, 2);
  }
  return size < 0.000_1 ? amount.toFixed(6) : amount.toFixed(4);
}

function grouped(amount: number, digits: number): string {
  return amount.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits
  });
}
