// What is in the reader's way, as JSON in an element of its own.
window.addEventListener('load', () => {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth + 1) {
    faults.push(`at width ${root.clientWidth} the page is ${root.scrollWidth} wide`);
  }
  for (const image of document.images) {
    if (image.complete && image.naturalWidth === 0) faults.push(`no picture ${image.src}`);
  }
  for (const entry of performance.getEntriesByType('resource')) {
    if (/^https?:/.test(entry.name)) faults.push(`asks the network for ${entry.name}`);
  }
  const short = (element) => element.textContent.trim().slice(0, 40);
  const charts = [...document.querySelectorAll('figure svg')];
  for (const chart of charts) {
    const frame = chart.getBoundingClientRect();
    if (frame.width < 200 || frame.height < 20) faults.push(`a chart of ${frame.width} by ${frame.height}`);
    const texts = [...chart.querySelectorAll('text')].map((text) => [text, text.getBoundingClientRect()]);
    texts.forEach(([text, box], i) => {
      const isOut = box.left < frame.left - 1 || box.right > frame.right + 1
        || box.top < frame.top - 2 || box.bottom > frame.bottom + 2;
      if (isOut) faults.push(`"${short(text)}" is cut off`);
      for (const [other, its] of texts.slice(i + 1)) {
        const across = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const down = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        const least = Math.min(box.height, its.height);
        if (across > 2 && down > least / 2) faults.push(`"${short(text)}" lies on "${short(other)}"`);
      }
    });
  }
  const heading = document.querySelector('main h1, body > h1') || document.querySelector('h1');
  const seen = document.createElement('pre');
  seen.id = 'seen';
  seen.textContent = JSON.stringify({
    heading: heading ? heading.textContent.trim() : '',
    charts: charts.length,
    tables: document.querySelectorAll('table').length,
    faults,
  });
  document.body.append(seen);
});
