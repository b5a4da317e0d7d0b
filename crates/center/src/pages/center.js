// Renews the table while somebody looks at it.
const live = document.getElementById("live");
async function renew() {
  if (document.visibilityState !== "visible") return;
  const answer = await fetch(live.dataset.rows, { headers: { Accept: "text/html" } });
  if (answer.ok && !answer.redirected) live.innerHTML = await answer.text();
}
if (live) setInterval(() => renew().catch(() => {}), 2000);
