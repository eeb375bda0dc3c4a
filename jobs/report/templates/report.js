"use strict";
// Search the samples. The field appears only if this script runs; the page works without it.
const box = document.getElementById("search");
if (box) {
  const field = box.querySelector("input");
  const said = box.querySelector("output");
  const groups = Array.from(document.querySelectorAll("#samples details.rule"), (group) => ({
    group,
    open: group.open,
    samples: Array.from(group.querySelectorAll("article"), (sample) => ({
      sample,
      text: (group.dataset.rule + " " + sample.textContent).toLowerCase(),
    })),
  }));
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { group, open, samples } of groups) {
      let here = 0;
      for (const { sample, text } of samples) {
        const hit = words.every((word) => text.includes(word));
        sample.hidden = !hit;
        here += hit ? 1 : 0;
      }
      for (const column of group.querySelectorAll(".columns > div")) {
        column.hidden = !column.querySelector("article:not([hidden])");
      }
      group.hidden = here === 0;
      group.open = words.length ? here > 0 : open;
      found += here;
    }
    said.textContent = words.length ? found + (found === 1 ? " sample" : " samples") : "";
  };
  field.addEventListener("input", search);
  box.hidden = false;
}
// A link to a rule's samples opens them.
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") {
    target.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", reveal);
reveal();
