// A small chart of the messages in each second of the last minute.

const SECONDS = 60;
const HEIGHT = 28;
const SVG = "http://www.w3.org/2000/svg";

export class Chart {
  #chart = document.getElementById("chart");
  #rate = document.getElementById("rate");
  #seconds = Array.from({ length: SECONDS }, () => [0, 0]);
  #bars = [];
  #before = null;

  constructor() {
    for (let index = 0; index < SECONDS; index++) {
      this.#bars.push(["good", "bad"].map((kind) => {
        const bar = document.createElementNS(SVG, "rect");
        bar.setAttribute("class", kind);
        bar.setAttribute("x", index * 3);
        bar.setAttribute("width", 2);
        this.#chart.append(bar);
        return bar;
      }));
    }
    setInterval(() => this.#tick(), 1_000);
  }

  /** Note the counts. What has arrived since the last call counts for this second. */
  note(counts, isOther = false) {
    const now = [counts.accepted, counts.dropped + counts.refused];
    if (this.#before && !isOther) {
      const current = this.#seconds.at(-1);
      for (const kind of [0, 1]) current[kind] += Math.max(0, now[kind] - this.#before[kind]);
    }
    this.#before = now;
  }

  #tick() {
    const most = Math.max(1, ...this.#seconds.map(([good, bad]) => good + bad));
    this.#seconds.forEach(([good, bad], index) => {
      const heights = [good, bad].map((count) => count && Math.max(2, count / most * HEIGHT));
      this.#bars[index].forEach((bar, kind) => {
        bar.setAttribute("height", heights[kind]);
        bar.setAttribute("y", HEIGHT - heights[kind] - (kind ? heights[0] : 0));
      });
    });
    const [good, bad] = this.#seconds.at(-1);
    this.#rate.textContent = `${(good + bad).toLocaleString("en")}/s`;
    this.#seconds.shift();
    this.#seconds.push([0, 0]);
  }
}
