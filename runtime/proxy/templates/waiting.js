const state = document.getElementById("state");
const lines = document.getElementById("lines");
let events;
const again = () => { events.close(); location.reload(); };
const follow = () => {
  events = new EventSource(state.dataset.events);
  // Each time the log comes from its beginning.
  events.addEventListener("open", () => { if (lines) lines.textContent = ""; });
  events.addEventListener("line", (event) => {
    if (!lines) return;
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
    lines.append(JSON.parse(event.data) + "\n");
    if (atEnd) lines.scrollTop = lines.scrollHeight;
  });
  events.addEventListener("ready", again);
  events.addEventListener("ended", again);
  events.addEventListener("cancelled", (event) => {
    events.close();
    const heading = document.querySelector("h1");
    document.title = heading.textContent = heading.dataset.stopped;
    state.textContent = JSON.parse(event.data);
    document.getElementById("start").hidden = false;
  });
  // Browsers ask again by themselves when a stream ends, but never once they have been refused.
  events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) setTimeout(look, 5000); });
};
// Whoever may not look any more is told so by the page; anything else passes, and to load the page would be a visit.
const look = async () => {
  const answer = await fetch(state.dataset.events).catch(() => null);
  answer?.body?.cancel();
  if (answer && [401, 403, 404, 410].includes(answer.status)) location.reload();
  else follow();
};
follow();
