// Numbers as people read them.

const DIGITS = 5;
const MOST_DECIMALS = 12;

// A number with five significant digits, and no zeros at its end.
export function short(value) {
  return String(Number(value.toPrecision(DIGITS)));
}

// A probability in per cent. Only 0 reads "0 %" and only 1 reads "100 %": near either, decimals show the distance.
export function percent(share) {
  if (share === 0 || share === 1) return `${100 * share} %`;
  const distance = 100 * Math.min(share, 1 - share);
  const decimals = Math.max(1, Math.ceil(-Math.log10(distance)) + 1);
  if (decimals > MOST_DECIMALS) return share < 0.5 ? "nearly 0 %" : "nearly 100 %";
  return `${Number((100 * share).toFixed(decimals))} %`;
}
