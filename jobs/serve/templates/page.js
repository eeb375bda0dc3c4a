"use strict";
// Everything that a model or a server says is put into the page as text, never as markup.
const $ = (id) => document.getElementById(id);
const HIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e0fff}]/gu;
const shown = (text) =>
  text.replace(HIDDEN, (hidden) => `⟨U+${hidden.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
const make = (tag, kind, text = "", ...children) => {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = shown(text);
  made.append(...children);
  return made;
};
// A token that is a part of a character comes as OpenAI writes it: bytes:\xe6
const tokenText = (text) => (/^bytes:(\\x[0-9a-f]{2})+$/.test(text) ? text.slice(6) : text);
const percent = (share) => (share >= 0.0995 ? (100 * share).toFixed(0) : (100 * share).toPrecision(2)) + "%";
const fail = (error) => {
  const stopped = error && error.name === "AbortError";
  $("error").hidden = !error || stopped;
  $("error").textContent = error ? shown(String(error.message)) : "";
};

const models = new Map();
const request = async (path, body, signal) => {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
  const answer = await fetch(path, body ? options : {});
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  return answer;
};
// Calls `each` with the choice of each event of a stream.
const stream = async (path, body, signal, each) => {
  const reader = (await request(path, { ...body, stream: true }, signal)).body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + decoder.decode(read.value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((one) => one.startsWith("data: {"))) {
      const data = JSON.parse(line.slice(6));
      if (data.error) throw new Error(data.error.message);
      each(data.choices[0]);
    }
  }
};
const settings = () => {
  const given = {};
  for (const name of ["temperature", "top_k", "max_tokens", "seed"]) {
    if ($(name).value !== "") given[name] = Number($(name).value);
  }
  return given;
};
// Lets a section do one thing at a time, with a button to stop it. While it runs, another is ignored, or takes its place.
const runner = (section) => {
  const [start, stop] = [$(section).querySelector("form button"), $(section).querySelector(".stop")];
  let running = null;
  stop.addEventListener("click", () => running && running.abort());
  return async (work, instead = false) => {
    if (running && !instead) return;
    if (running) running.abort();
    const own = (running = new AbortController());
    [start.disabled, stop.hidden] = [true, false];
    fail(null);
    try {
      await work(own.signal);
    } catch (error) {
      fail(error);
    }
    if (running !== own) return;
    running = null;
    [start.disabled, stop.hidden] = [false, true];
  };
};
const onSubmit = (section, enter, work) => {
  const form = $(section).querySelector("form");
  form.addEventListener("submit", (event) => (event.preventDefault(), work()));
  form.querySelector("textarea").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing && (enter ? !event.shiftKey : event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
};

// Continue
let text = { prompt: [], tokens: [] };
const branches = [];
const runText = runner("continue");
const bin = (share) => "p" + [0.01, 0.05, 0.2, 0.5, 0.9].filter((least) => share >= least).length;
const addToken = (token, at) => {
  const made = make("span", `${bin(token.share)}${token.chosen ? " chosen" : ""}`, token.text);
  made.title = percent(token.share);
  made.setAttribute("role", "button");
  made.setAttribute("aria-expanded", "false");
  made.setAttribute("aria-label", `${token.text}, ${percent(token.share)}`);
  made.tabIndex = at === 0 ? 0 : -1;
  made.addEventListener("click", () => openToken(made, at));
  $("tokens").append(made);
};
const drawText = () => {
  $("tokens").replaceChildren();
  text.tokens.forEach(addToken);
  $("alternatives").hidden = true;
  $("more").disabled = !text.prompt.length;
  $("branches").hidden = !branches.length;
  $("branches").querySelector("ol").replaceChildren(...branches.map((branch) => {
    const button = make("button", "", branch.tokens.map((token) => token.text).join(""));
    button.addEventListener("click", () => {
      branches.splice(branches.indexOf(branch), 1, text);
      text = branch;
      drawText();
    });
    return make("li", "", "", button);
  }));
};
const openToken = (made, at) => {
  for (const other of $("tokens").children) [other.tabIndex, other.ariaExpanded] = [-1, "false"];
  [made.tabIndex, made.ariaExpanded] = [0, "true"];
  const list = make("ul");
  for (const other of text.tokens[at].likeliest) {
    const button = make("button", bin(other.share), "", make("b", "", JSON.stringify(other.text)), ` ${percent(other.share)}`);
    button.addEventListener("click", () => {
      branches.push(text);
      const chosen = { ...text.tokens[at], ...other, chosen: true };
      text = { prompt: text.prompt, tokens: [...text.tokens.slice(0, at), chosen] };
      drawText();
      goOn();
    });
    list.append(make("li", "", "", button));
  }
  $("alternatives").replaceChildren(make("h4", "", "What else was likely here"), list);
  $("alternatives").hidden = false;
};
$("tokens").addEventListener("keydown", (event) => {
  const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
  const next = step && event.target[step];
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    event.target.click();
    $("alternatives").querySelector("button").focus();
  } else if (next) {
    [event.target.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  }
});
$("alternatives").addEventListener("keydown", (event) => {
  if (event.key === "Escape") ($("alternatives").hidden = true), $("tokens").querySelector("[tabindex='0']").focus();
});
const goOn = () => runText(async (signal) => {
  const branch = text;
  const prompt = branch.prompt.length ? [...branch.prompt, ...branch.tokens.map((token) => token.id)] : $("prompt").value;
  await stream("/v1/completions", { model: $("model").value, prompt, logprobs: 10, ...settings() }, signal, (choice) => {
    if (!branch.prompt.length) branch.prompt = choice.prompt_ids;
    const logs = choice.logprobs;
    logs.ids.forEach((id, at) => {
      const likeliest = logs.likeliest[at].map((one) => ({ id: one.id, text: tokenText(one.token), share: Math.exp(one.logprob) }));
      branch.tokens.push({ id, text: tokenText(logs.tokens[at]), share: Math.exp(logs.token_logprobs[at]), likeliest });
      if (branch === text) addToken(branch.tokens.at(-1), branch.tokens.length - 1);
    });
  });
  $("more").disabled = false;
}, true);
$("more").addEventListener("click", goOn);
onSubmit("continue", false, () => {
  if (text.tokens.length) branches.push(text);
  text = { prompt: [], tokens: [] };
  drawText();
  goOn();
});

// Chat
const messages = [];
const runChat = runner("chat");
const turnOf = (role, content = "", calls = []) => {
  const said = make("div", "said", content);
  const made = make("article", role, "", make("h3", "", role), said);
  for (const call of calls) {
    made.append(make("p", "call", `${call.function.name}(${Object.values(JSON.parse(call.function.arguments)).join(", ")})`));
  }
  $("turns").append(made);
  return said;
};
const conversation = () => [...($("system").value ? [{ role: "system", content: $("system").value }] : []), ...messages];
const drawSpecials = async () => {
  $("read").hidden = !$("specials").checked || !messages.length;
  if ($("read").hidden) return;
  const answer = await (await request("/tokens", { model: $("model").value, messages: conversation() })).json();
  $("read").replaceChildren(...answer.tokens.map(([token, special]) => make("span", special ? "special" : "", token)));
};
$("specials").addEventListener("change", () => drawSpecials().catch(fail));
$("new").addEventListener("click", () => {
  messages.length = 0;
  $("turns").replaceChildren();
  drawSpecials().catch(fail);
});
onSubmit("chat", true, () => runChat(async (signal) => {
  const content = $("message").value;
  if (!content.trim()) return;
  const before = messages.length;
  messages.push({ role: "user", content });
  turnOf("user", content);
  $("message").value = "";
  const forbidden = $("tools").checked ? {} : { tool_choice: "none" };
  let said = null;
  let live = "";
  try {
    await stream("/v1/chat/completions", { model: $("model").value, messages: conversation(), ...settings(), ...forbidden }, signal, (choice) => {
      if (choice.delta.content) {
        said = said || turnOf("assistant");
        live += choice.delta.content;
        said.textContent = shown(live);
      }
      if (choice.turn) {
        if (said) said.parentElement.remove();
        turnOf(choice.turn.role, choice.turn.content || "", choice.turn.tool_calls);
        messages.push(choice.turn);
        [said, live] = [null, ""];
      }
    });
  } finally {
    if (live) messages.push({ role: "assistant", content: live });
    const last = messages.at(-1);
    if (last.role !== "assistant" || !(last.content || "").trim()) {
      messages.length = before;
      $("turns").append(make("p", "what", "There was no answer. The model does not see this turn again."));
      $("message").value = content;
    }
  }
  await drawSpecials();
}));

// Compare
const runPair = runner("compare");
let sides = null;
const drawSides = () => {
  const names = ["first", "second"];
  $("sides").replaceChildren(...sides.answers.map((answer, at) => {
    const button = make("button", "", `The ${names[at]} is better (${at + 1})`);
    button.disabled = true;
    button.addEventListener("click", () => vote(at));
    answer.said = make("div", "said");
    answer.button = button;
    answer.name = make("h3", "", names[at]);
    return make("article", "", "", answer.name, answer.said, button);
  }));
};
const vote = async (at) => {
  const [chosen, rejected] = [sides.answers[at], sides.answers[1 - at]];
  for (const answer of sides.answers) {
    answer.button.disabled = true;
    answer.name.textContent = shown(answer.model);
  }
  const body = { prompt: sides.prompt, chosen: chosen.text, rejected: rejected.text, models: [chosen.model, rejected.model] };
  try {
    drawRanking(await (await request("/votes", body)).json());
  } catch (error) {
    fail(error);
  }
};
const drawRanking = (found) => {
  $("voted").textContent = `Votes so far: ${found.votes}`;
  $("ranking").hidden = !found.ranking.length;
  $("ranking").querySelector("tbody").replaceChildren(...found.ranking.map((row) => make("tr", "", "",
    make("th", "", row.model), make("td", "n", String(row.points)), make("td", "n", row.interval.join(" to ")),
    make("td", "n", String(row.won)), make("td", "n", String(row.lost)))));
};
onSubmit("compare", true, () => runPair(async (signal) => {
  const content = $("question").value;
  if (!content.trim()) return;
  const pair = JSON.parse($("pair").value);
  if (Math.random() < 0.5) pair.reverse();
  const asked = { prompt: [{ role: "user", content }], answers: pair.map((model) => ({ model, text: "" })) };
  sides = asked;
  drawSides();
  const { seed = Math.floor(Math.random() * 2 ** 48), ...others } = settings();
  await Promise.all(asked.answers.map(async (answer, at) => {
    const body = { model: answer.model, messages: asked.prompt, ...others, seed: seed + at };
    await stream("/v1/chat/completions", body, signal, (choice) => {
      answer.text += choice.delta.content || "";
      answer.said.textContent = shown(answer.text);
    });
  }));
  const same = asked.answers[0].text === asked.answers[1].text;
  if (same) $("voted").textContent = "Both answers are the same. Ask again, or at a higher temperature.";
  for (const answer of asked.answers) answer.button.disabled = same;
  if (!same) asked.answers[0].button.focus();
}));
document.addEventListener("keydown", (event) => {
  const answer = sides && !$("compare").hidden && sides.answers[Number(event.key) - 1];
  if (answer && !event.target.closest("input, textarea, select") && !event.ctrlKey && !event.altKey) answer.button.click();
});

// The views, and the models
const view = () => {
  const name = ["chat", "compare"].find((one) => location.hash === `#${one}`) || "continue";
  for (const section of document.querySelectorAll("section")) section.hidden = section.id !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
};
addEventListener("hashchange", view);
const choose = () => {
  const model = models.get($("model").value);
  $("chat").querySelector(".none").hidden = model.chat;
  $("chat").querySelector(".some").hidden = !model.chat;
  $("chat").querySelector(".tools").hidden = !model.tools.length;
  $("chat").querySelector(".tools span").textContent = shown(model.tools.join(", "));
};
$("model").addEventListener("change", choose);
$("settings").addEventListener("submit", (event) => event.preventDefault());
const option = (value, label) => {
  const made = make("option", "", label);
  made.value = value;
  return made;
};
const begin = async () => {
  for (const model of (await (await request("/v1/models")).json()).data) models.set(model.id, model);
  $("model").replaceChildren(...[...models.keys()].map((name) => option(name, name)));
  const chats = [...models.values()].filter((model) => model.chat).map((model) => model.id);
  const pairs = [...(chats.length > 1 ? [chats] : []), ...chats.map((name) => [name, name])];
  $("pair").replaceChildren(...pairs.map((pair) =>
    option(JSON.stringify(pair), pair[0] === pair[1] ? `${pair[0]}, twice` : pair.join(" and "))));
  $("compare").querySelector(".none").hidden = chats.length > 0;
  $("compare").querySelector(".some").hidden = !chats.length;
  choose();
  drawRanking(await (await request("/votes")).json());
};
view();
begin().catch(fail);
