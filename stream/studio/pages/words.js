// @ts-check
// Figures and states, in a person's words.

/** @typedef {{steps: number, px: number, every: number, level: number}} Effort */

/**
 * What the machine gives up to keep the pace.
 * @param {Effort | undefined} effort
 */
export function aboutEffort(effort) {
  if (!effort) return "";
  if (!effort.level) return "";
  if (effort.every > 1) {
    const one = effort.every === 2 ? "every second picture" : `one picture in ${effort.every}`;
    return `This machine paints ${one}; those between are carried along.`;
  }
  const steps = effort.steps === 1 ? "one step" : `${effort.steps} steps`;
  return `Kept quick with ${steps} at ${effort.px} pixels.`;
}

/** What the time in the bar is, and how pictures travel. @param {{sends?: string, gets?: string}} figures */
export function aboutLink({ sends, gets }) {
  const said = "From your camera to the painting";
  return sends === "h264" || gets === "h264" ? `${said}. The connection is slow, so pictures are sent as H.264.` : said;
}

/** @param {{most: number, taken: number, waiting: number}} seats */
export function aboutSeats({ most, taken, waiting }) {
  if (waiting) return `${waiting} waiting`;
  return taken > 1 ? `${taken} of ${most} seats` : "";
}

/** Somebody's place in line. @param {{place: number, seats: number}} busy */
export function aboutLine({ place, seats }) {
  const count = ["Nobody", "One person", "Two people", "Three people", "Four people"][seats] ?? `${seats} people`;
  const verb = seats === 1 ? "is" : "are";
  const yours = place === 1 ? "You are next." : `You are number ${place} in line.`;
  return `${count} ${verb} painting. ${yours}`;
}

/** How long, such as 1:05 or 18 s. @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** @param {number} bytes */
export function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {number} count */
export const whole = (count) => count.toLocaleString("en-US");

/**
 * What to say where a camera cannot be had.
 * @param {string} name Of the browser's error, or "insecure".
 */
export function aboutCamera(name) {
  switch (name) {
    case "insecure":
      return {
        title: "This address is not secure enough for a camera",
        text: "Browsers open a camera only on this computer itself or over https. Ask whoever runs the studio to start it with --tls self, or use a video.",
      };
    case "NotAllowedError":
      return {
        title: "The camera is blocked for this page",
        text: "Click the camera sign in the address bar, choose “Allow”, then try again. The picture stays on the computer that runs the studio.",
      };
    case "NotFoundError":
    case "OverconstrainedError":
      return {
        title: "No camera was found",
        text: "Plug one in and try again, or paint a video or your screen instead.",
      };
    case "NotReadableError":
    case "AbortError":
      return {
        title: "Another program is using the camera",
        text: "Close the meeting or program that shows it, then try again.",
      };
    default:
      return { title: "The camera could not be opened", text: name || "Try again, or use a video." };
  }
}
