const state = document.getElementById("state");
const lines = document.getElementById("lines");
const events = new EventSource(state.dataset.events);
const again = () => { events.close(); location.reload(); };
events.addEventListener("line", (event) => {
  if (!lines) return;
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
  lines.append(JSON.parse(event.data) + "\n");
  if (atEnd) lines.scrollTop = lines.scrollHeight;
});
events.addEventListener("state", (event) => { state.textContent = JSON.parse(event.data); });
events.addEventListener("ready", again);
events.addEventListener("ended", again);
events.addEventListener("cancelled", (event) => {
  events.close();
  const heading = document.querySelector("h1");
  document.title = heading.textContent = heading.dataset.stopped;
  state.textContent = JSON.parse(event.data);
  document.getElementById("start").hidden = false;
});
