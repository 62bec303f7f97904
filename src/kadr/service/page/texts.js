// Every word the page says, in English and Russian, and numbers and dates as each language has them.

/** @typedef {"en" | "ru"} Language */

/** Key: [English, Russian]; plural forms are objects by Intl.PluralRules. */
const TEXTS = {
  title: ["kadr: photo search", "kadr: поиск фотографий"],
  skip: ["To the photos", "К фотографиям"],
  home: ["kadr, all photos", "kadr, все фотографии"],
  search: ["Search photos", "Поиск фотографий"],
  describe: ["Describe a photo", "Опишите фотографию"],
  clear: ["Clear the search", "Очистить поиск"],
  choose: ["Search by a picture", "Искать по картинке"],
  drop: ["Drop a picture to find photos like it", "Отпустите картинку, чтобы найти похожие фотографии"],
  yourPicture: ["Your picture", "Ваша картинка"],
  likeThis: ["Like this photo", "Похожие на это фото"],
  without: ["Remove “{name}”", "Убрать «{name}»"],

  filters: ["Filters", "Фильтры"],
  after: ["From", "С"],
  before: ["To", "По"],
  folder: ["Folder", "Папка"],
  camera: ["Camera", "Камера"],
  kind: ["Kind", "Формат"],
  any: ["Any", "Любая"],
  anyKind: ["Any", "Любой"],
  chipAfter: ["from {value}", "с {value}"],
  chipBefore: ["to {value}", "по {value}"],
  chipNear: ["near {value}", "рядом с {value}"],
  chipSize: ["at least {value} px", "от {value} пикселей"],
  chosen: ["Chosen filters", "Выбранные фильтры"],
  clearFilters: ["Clear all", "Сбросить все"],

  words: ["Words of the query", "Слова запроса"],
  more: ["More “{word}”", "Больше «{word}»"],
  less: ["Without “{word}”", "Без «{word}»"],

  add: ["Add photos", "Добавить фото"],
  review: ["Review", "Проверка"],
  toSearch: ["Back to search", "Вернуться к поиску"],
  help: ["Keys", "Клавиши"],
  language: ["По-русски", "In English"],
  dark: ["Dark colours", "Тёмное оформление"],
  light: ["Light colours", "Светлое оформление"],

  photos: ["Photos", "Фотографии"],
  showMore: ["Show more", "Показать ещё"],
  newest: [
    { one: "{n} photo, newest first", other: "{n} photos, newest first" },
    { one: "{n} фотография, сначала новые", few: "{n} фотографии, сначала новые", many: "{n} фотографий, сначала новые", other: "{n} фотографии, сначала новые" },
  ],
  filtered: [
    { one: "{n} photo passes these filters", other: "{n} photos pass these filters" },
    { one: "Под фильтры подходит {n} фотография", few: "Под фильтры подходят {n} фотографии", many: "Под фильтры подходит {n} фотографий", other: "Под фильтры подходит {n} фотографии" },
  ],
  filteredMore: ["More than {n} photos pass these filters", "Под фильтры подходит больше {n} фотографий"],
  matches: [
    { one: "{n} photo matches, {best} sure", other: "{n} photos match, the best {best} sure" },
    { one: "Подходит {n} фотография, уверенность {best}", few: "Подходят {n} фотографии, уверенность до {best}", many: "Подходит {n} фотографий, уверенность до {best}", other: "Подходит {n} фотографии, уверенность до {best}" },
  ],
  matchesMore: ["More than {n} photos match, the best {best} sure", "Подходит больше {n} фотографий, уверенность до {best}"],
  recorded: [
    { one: "{n} photo matches, first those with these words", other: "{n} photos match, first those with these words" },
    { one: "Подходит {n} фотография, сначала с этими словами", few: "Подходят {n} фотографии, сначала с этими словами", many: "Подходит {n} фотографий, сначала с этими словами", other: "Подходит {n} фотографии, сначала с этими словами" },
  ],
  recordedMore: ["More than {n} photos match, first those with these words", "Подходит больше {n} фотографий, сначала с этими словами"],
  record_text: ["tagged: {words}", "подписано: {words}"],
  record_name: ["in the name: {words}", "в имени: {words}"],
  record_folder: ["in the folder: {words}", "в папке: {words}"],
  record_camera: ["camera: {words}", "камера: {words}"],
  record_date: ["date: {words}", "дата: {words}"],
  alike: ["The most alike first", "Сначала самые похожие"],
  nearest: ["Nothing matches well. The nearest photos:", "Ничего подходящего нет. Вот самые близкие фотографии:"],
  nearestShown: ["Nothing that may be shown matches well. The nearest photos:", "Среди того, что можно показать, ничего подходящего нет. Вот самые близкие фотографии:"],
  nothingMatches: ["Nothing matches well", "Ничего подходящего нет"],
  weaker: ["Less sure, below {least}", "Менее уверенно, ниже {least}"],
  nothing: ["No photo was found", "Ни одной фотографии не нашлось"],
  nothingFiltered: ["No photo passes these filters", "Под эти фильтры не подходит ни одна фотография"],
  empty: ["There are no photos yet", "Фотографий пока нет"],
  emptyHint: ["Add some from a terminal:", "Добавьте их командой в терминале:"],
  refused: ["This search can't be answered", "На этот запрос ответить нельзя"],
  sure: ["{percent} sure", "уверенность {percent}"],
  likeness: ["likeness {value}", "сходство {value}"],
  unreadable: ["Can't be shown", "Не открывается"],
  moreLikeThis: ["More like this", "Похожие"],
  why: ["Why?", "Почему?"],
  whyWords: ["What each word adds: {words}", "Что добавляет каждое слово: {words}"],
  whyNoWords: ["Light places fit the text", "Светлые места подходят к тексту"],
  whyNothing: ["Nothing more is known about this photo", "Больше об этом фото ничего сказать нельзя"],
  whyOnlyText: ["Only a search in plain words can be explained", "Объяснить можно только поиск по одному тексту, без + и −"],
  wordAlone: ["{word}, the only word", "{word}, единственное слово"],

  viewer: ["Photo", "Фотография"],
  close: ["Close", "Закрыть"],
  previous: ["Previous photo", "Предыдущая фотография"],
  next: ["Next photo", "Следующая фотография"],
  original: ["Original", "Оригинал"],
  taken: ["Taken", "Снято"],
  size: ["Size", "Размер"],
  pixels: ["{width} × {height}, {kind}", "{width} × {height}, {kind}"],
  copies: [
    { one: "and {n} copy", other: "and {n} copies" },
    { one: "и {n} копия", few: "и {n} копии", many: "и {n} копий", other: "и {n} копии" },
  ],
  noSuchPhoto: ["There is no such photo. It may have been removed.", "Такой фотографии нет. Возможно, её удалили."],

  keyFocus: ["Go to the search field", "Перейти к строке поиска"],
  keyMove: ["Move between photos", "Двигаться по фотографиям"],
  keyOpen: ["Open the photo", "Открыть фотографию"],
  keyWhy: ["See why it was found", "Посмотреть, почему она нашлась"],
  keyLike: ["Find more like it", "Найти похожие"],
  keyHelp: ["This list", "Этот список"],

  waiting: [
    { one: "{n} photo waits for a decision", other: "{n} photos wait for a decision" },
    { one: "Решения ждёт {n} фотография", few: "Решения ждут {n} фотографии", many: "Решения ждут {n} фотографий", other: "Решения ждут {n} фотографии" },
  ],
  inSample: [
    { one: "{n} photo of the sample is left", other: "{n} photos of the sample are left" },
    { one: "Из выборки осталась {n} фотография", few: "Из выборки осталось {n} фотографии", many: "Из выборки осталось {n} фотографий", other: "Из выборки осталось {n} фотографии" },
  ],
  toSample: ["Sample of what is shown: {n}", "Выборка из показываемых: {n}"],
  toWaiting: ["Back to what waits", "К тем, что ждут решения"],
  nearHidden: ["A near duplicate was hidden by {who}", "Почти такая же скрыта ({who})"],
  nearAllowed: ["A near duplicate was allowed by {who}", "Почти такая же разрешена ({who})"],
  alikeHide: ["Hide, as that one", "Скрыть, как и её"],
  alikeAllow: ["Allow, as that one", "Показывать, как и её"],
  noneWaiting: ["No photo waits for a decision", "Ни одна фотография не ждёт решения"],
  skippedAll: [
    { one: "{n} photo was skipped", other: "{n} photos were skipped" },
    { one: "Пропущена {n} фотография", few: "Пропущены {n} фотографии", many: "Пропущено {n} фотографий", other: "Пропущено {n} фотографии" },
  ],
  lookAgain: ["Look at them again", "Посмотреть ещё раз"],
  doubtful: ["Photo in doubt", "Фотография под вопросом"],
  allow: ["Allow", "Показывать"],
  hide: ["Hide", "Скрыть"],
  skipPhoto: ["Skip", "Пропустить"],
  undo: ["Undo", "Отменить"],
  reason: ["Reason, kept with the decision", "Причина, она сохранится вместе с решением"],
  notAssessed: ["The machine hasn't looked at it yet", "Машина её ещё не оценивала"],
  aChild: ["Someone under 16", "На фото есть кто-то младше 16"],
  scene: ["By what it shows", "По тому, что на фото"],
  faces: ["Apparent ages", "Видимый возраст"],
  noFace: ["no face found", "лиц не найдено"],
  wordsFound: ["Words in its names and texts", "Слова в именах и подписях"],
  failed: ["Couldn't judge", "Не смогли оценить"],
  layerWords: ["words", "слова"],
  layerScene: ["scene", "сцена"],
  layerFaces: ["faces", "лица"],
  appealed: ["{who} asks to look again", "{who} просит посмотреть ещё раз"],
  disputed: ["{who} disagrees", "{who} не согласен с решением"],
  inForceAllow: ["In force: allowed by {who}", "Действует: разрешено ({who})"],
  inForceHide: ["In force: hidden by {who}", "Действует: скрыто ({who})"],
  doneAllow: ["{name}: allowed", "{name}: показывается"],
  doneHide: ["{name}: hidden", "{name}: скрыта"],
  seconded: ["{name}: agrees with the decision in force", "{name}: совпадает с действующим решением"],
  disputedNow: ["{name}: in dispute, someone else has to decide", "{name}: мнения разошлись, решать будет кто-то ещё"],
  unchanged: ["{name}: was decided already", "{name}: решение уже было"],
  withdrawn: ["{name}: decision undone", "{name}: решение отменено"],
  nothingToUndo: ["Nothing to undo", "Отменять нечего"],
  noReview: ["Reviewing needs a key with the scope “review”", "Для проверки нужен ключ с правом review"],

  adding: ["Adding {done} of {all}: {percent}", "Добавляется {done} из {all}: {percent}"],
  reading: ["Reading the photos", "Фотографии обрабатываются"],
  added: [
    { one: "{n} photo added", other: "{n} photos added" },
    { one: "Добавлена {n} фотография", few: "Добавлены {n} фотографии", many: "Добавлено {n} фотографий", other: "Добавлено {n} фотографии" },
  ],
  withheldFiles: [
    { one: "{n} more is hidden by law until somebody allows it", other: "{n} more are hidden by law until somebody allows them" },
    { one: "ещё {n} скрыта по закону, пока её не разрешат", few: "ещё {n} скрыты по закону, пока их не разрешат", many: "ещё {n} скрыто по закону, пока их не разрешат", other: "ещё {n} скрыты по закону, пока их не разрешат" },
  ],
  skippedFiles: ["not added: {files}", "не добавлено: {files}"],

  keyTitle: ["This library asks for a key", "Для этой библиотеки нужен ключ"],
  keyHint: ["Whoever runs the service can give you one.", "Его выдаёт тот, кто запустил сервис."],
  key: ["Key", "Ключ"],
  enter: ["Open", "Открыть"],
  keyWrong: ["This key isn't known. Check it and try again.", "Такого ключа нет. Проверьте его и попробуйте ещё раз."],

  noRecord: ["This must be put on record, and the service can't. Tell whoever runs it.", "Это должно попасть в журнал, а сервис не может записать. Сообщите тому, кто его ведёт."],
  noLibrary: ["The library is gone or can't be read. The page goes on once it is back.", "Библиотека пропала или не читается. Страница продолжит, когда она вернётся."],
  busy: ["The service is busy. It will be asked again in a moment.", "Сервис занят. Запрос скоро повторится сам."],
  tooMany: ["Too many requests. It will be asked again in a moment.", "Слишком много запросов. Запрос скоро повторится сам."],
  offline: ["The service can't be reached. Trying again; check that kadr serve runs.", "Сервис не отвечает. Пробуем ещё раз; проверьте, что kadr serve запущен."],
  forbidden: ["This key doesn't allow that. Ask for one with the scope.", "Этот ключ такого не разрешает. Попросите ключ с нужным правом."],
  tooLong: ["A search has at most {most} characters. Shorten this one.", "В запросе может быть не больше {most} знаков. Сократите его."],
  tooLarge: ["This file is too large. Choose a smaller one.", "Файл слишком большой. Выберите поменьше."],
  noPicture: ["This is no picture that can be read. Try a JPEG or PNG.", "Эту картинку прочитать не удалось. Попробуйте JPEG или PNG."],
  broken: ["Something went wrong in the service. Try again; its log tells more.", "В сервисе что-то сломалось. Попробуйте ещё раз; подробности в его журнале."],
};

const LANGUAGES = /** @type {Language[]} */ (["en", "ru"]);
const KEPT = "kadr.language";

/** @type {Language} */
let current = initial();

/** @returns {Language} the one chosen here before, else the browser's */
function initial() {
  const kept = localStorage.getItem(KEPT);
  const wanted = kept ?? navigator.language;
  return wanted.toLowerCase().startsWith("ru") ? "ru" : "en";
}

/** @returns {Language} */
export function language() {
  return current;
}

/** @param {Language} chosen */
export function setLanguage(chosen) {
  current = chosen;
  localStorage.setItem(KEPT, chosen);
}

/**
 * The text of a key, its {places} filled; `n` chooses the plural form.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function say(key, values = {}) {
  const text = TEXTS[key][LANGUAGES.indexOf(current)];
  const form = typeof text === "string" ? text : text[new Intl.PluralRules(current).select(values.n)];
  return form.replace(/\{(\w+)\}/g, (_, name) =>
    typeof values[name] === "number" ? number(values[name]) : values[name],
  );
}

/** Fill every element below `root` that names its text. @param {ParentNode} root */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
    if (element.matches("button, label, a")) element.title = say(element.dataset.label);
  }
  for (const element of root.querySelectorAll("[data-hint]")) element.placeholder = say(element.dataset.hint);
}

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(current, { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(value)
    .replace("-", "−");
}

/** With its plus, and no minus before a zero. @param {number} value */
export function signed(value) {
  const rounded = Math.round(value * 10) / 10 || 0;
  return (rounded > 0 ? "+" : "") + number(rounded, 1);
}

/** Never a flat 0 % or 100 %: nobody is that sure. @param {number} share */
export function percent(share) {
  const format = new Intl.NumberFormat(current, { style: "percent" });
  if (share < 0.005) return `<${format.format(0.01)}`;
  if (share > 0.995) return `>${format.format(0.99)}`;
  return format.format(share);
}

/** A day as people write it. @param {Date} date */
export function day(date) {
  return new Intl.DateTimeFormat(current, { dateStyle: "long", timeZone: "UTC" }).format(date).replace(" г.", "");
}

/** The camera's own time, whatever the browser's zone. @param {string} iso */
export function moment(iso) {
  const date = new Date(`${iso}Z`);
  const time = new Intl.DateTimeFormat(current, { timeStyle: "short", timeZone: "UTC" }).format(date);
  return `${day(date)}, ${time}`;
}
