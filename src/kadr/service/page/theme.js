// Before the first paint: a kept choice of colours. A module would come too late and flash.
document.documentElement.dataset.theme = localStorage.getItem("kadr.theme") ?? "auto";
