// [data-use-time-zone]: chooses the browser's own zone in the list it names, where the list has it.

const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

for (const button of document.querySelectorAll("[data-use-time-zone]")) {
  const list = document.getElementById(button.dataset.useTimeZone);
  const known = [...list.options].some(({ value }) => value === own);
  const offer = () => (button.hidden = !known || list.value === own);
  button.addEventListener("click", () => {
    list.value = own;
    list.focus();
    offer();
  });
  list.addEventListener("change", offer);
  offer();
}
