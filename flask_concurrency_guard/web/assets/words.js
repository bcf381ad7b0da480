// Figures as people read them.

const WHOLE = new Intl.NumberFormat("en");

export const count = (number) => WHOLE.format(number);

export function rate(perSecond) {
  if (perSecond >= 100) return count(Math.round(perSecond));
  if (perSecond >= 10 || perSecond === 0) return perSecond.toFixed(perSecond === 0 ? 0 : 1);
  return perSecond.toFixed(perSecond >= 0.095 ? 1 : 2);
}

// For the axes, whose figures are round.
export const plainRate = (perSecond) => WHOLE.format(perSecond);

export function plainDuration(seconds) {
  if (seconds === 0) return "0";
  return seconds < 1 ? `${WHOLE.format(seconds * 1000)} ms` : `${WHOLE.format(seconds)} s`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.9995) {
    const thousandths = seconds * 1000;
    return `${thousandths.toFixed(thousandths >= 9.95 || thousandths === 0 ? 0 : 1)} ms`;
  }
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  return lasting(seconds);
}

// In whole seconds, or what is larger.
export function lasting(seconds) {
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600) % 24;
  const days = Math.floor(whole / 86400);
  if (days >= 999) return "over 999 d"; // It comes of a clock that was set.
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
  return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
}

export const share = (part, whole) => `${(part / whole * 100).toFixed(part / whole < 0.0995 ? 1 : 0)} %`;

export function clock(seconds, withSeconds = true) {
  const time = new Date(seconds * 1000).toTimeString().slice(0, 8);
  return withSeconds ? time : time.slice(0, 5);
}

export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;
