// The viewer is dark where the browser is. Where there is no room for its navigation, all operations stand on one page.
const viewer = document.querySelector("rapi-doc");
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 768px)");
const paint = () => viewer.setAttribute("theme", dark.matches ? "dark" : "light");
const arrange = () => viewer.setAttribute("render-style", narrow.matches ? "read" : "focused");
dark.addEventListener("change", paint);
narrow.addEventListener("change", arrange);
paint();
arrange();
