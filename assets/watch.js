// Asks now and then whether checkpoints came or went, and says so once. A page that nobody looks at
// asks nothing, and a question costs the server a look at a few dates.
const PAUSE = 4000;
let seen = "";

async function look() {
  if (document.hidden) return;
  const { seen: now } = (await server.on_look({}).catch(() => null)) || {};
  if (!now) return;
  if (seen && now !== seen) trigger("changed", {});
  seen = now;
}

const clock = setInterval(() => (element.isConnected ? look() : clearInterval(clock)), PAUSE);
document.addEventListener("visibilitychange", look);
look();
