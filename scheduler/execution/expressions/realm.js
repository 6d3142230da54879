// Makes the realm of expressions out of a fresh one, and gives the one function that is called from outside.
// What an expression can reach is frozen: nothing that one does is seen by the next.
(function (momentIn, zones, missing) {
  'use strict';

  const LONGEST = 1024 * 1024;
  const LONGEST_MESSAGE = 1000;
  const compile = Function;
  const {freeze, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf} = Object;
  const {ownKeys, apply} = Reflect;
  const {parse, stringify} = JSON;

  // Waiting, sharing, weak references (they tell of other expressions' memory), code out of text, ways to the outside.
  for (const name of ['Atomics', 'SharedArrayBuffer', 'WebAssembly', 'WeakRef', 'FinalizationRegistry', 'Promise', 'eval',
    'Function', 'console', '__timer_manager', 'setTimeout', 'clearTimeout', 'escape', 'unescape']) {
    if (getOwnPropertyDescriptor(globalThis, name)?.configurable) delete globalThis[name];
    else globalThis[name] = undefined;
  }
  const HIDDEN = ['__TimerManager', '__evaluate'];  // names of the outermost scope that cannot be taken away
  const functions = [function () {}, function* () {}, async function () {}, async function* () {}];
  for (const one of functions) delete getPrototypeOf(one).constructor;
  for (const name of ownKeys(RegExp)) {  // RegExp.$1 and its like tell what was matched last
    if (!['length', 'name', 'prototype', 'escape', Symbol.species].includes(name)) delete RegExp[name];
  }

  const seen = new Set();
  function freezeAll(root) {
    const rest = [root];
    while (rest.length) {
      const one = rest.pop();
      if ((typeof one !== 'object' && typeof one !== 'function') || one === null || seen.has(one)) continue;
      seen.add(one);
      rest.push(getPrototypeOf(one));
      for (const key of ownKeys(one)) {
        const property = getOwnPropertyDescriptor(one, key);
        rest.push(property.value, property.get, property.set);
      }
      if (!ArrayBuffer.isView(one)) freeze(one);
    }
  }

  function described(error) {
    try {
      const text = typeof error === 'string' ? error : stringify(error);
      return (error instanceof Error ? `${error.name}: ${error.message}` : `It threw ${text}.`).slice(0, LONGEST_MESSAGE);
    } catch (another) {
      return 'It threw something that has no text.';
    }
  }

  function textOf(value) {
    if (value === null || value === undefined) return '';
    if (typeof value === 'function') throw new TypeError('The value is a function; call it with ().');
    if (typeof value === 'number' && !isFinite(value)) {
      throw new RangeError(`The value is ${value}, which is no number of JSON.`);
    }
    const text = typeof value === 'string' ? value : String(stringify(value));
    if (text.length > LONGEST) throw new RangeError(`The value has more than ${LONGEST} characters.`);
    return text;
  }

  // {text}, {undefined: true}, {unknown: name}, {syntax: message} or {error: message}, as JSON; or else {zones}, the names
  // of those that must be known first: ask again with [[name, offsets], …] of them.
  function evaluate(request, found) {
    for (const [name, offsets] of found) zones.set(name, offsets);
    missing.clear();
    const answer = outcome(request);
    return missing.size ? stringify({zones: [...missing]}) : answer;
  }

  function outcome(request) {
    const {expression, variables, zone, dry} = parse(request);
    let run;
    try {
      run = compile('moment', ...HIDDEN, `with (this) { return (\n${expression}\n); }`);
    } catch (error) {
      return stringify({syntax: described(error)});
    }
    if (dry) return stringify({text: ''});
    try {
      const value = apply(run, setPrototypeOf(variables, null), [momentIn(zone)]);
      return stringify(value === undefined ? {text: '', undefined: true} : {text: textOf(value)});
    } catch (error) {
      const message = described(error);
      const unknown = /^ReferenceError: (\S+) is not defined$/.exec(message);
      return stringify(unknown ? {unknown: unknown[1]} : {error: message});
    }
  }

  functions.push(evaluate, [][Symbol.iterator](), new Map().entries(), new Set().values(), ''[Symbol.iterator](),
    'x'.matchAll(/x/g), new Intl.Segmenter().segment(''),
    new Intl.Segmenter().segment('')[Symbol.iterator](), [].values().map((one) => one), Iterator.from({next: null}), (async () => {})());
  for (const one of [...functions, momentIn('UTC'), momentIn('UTC')(0), globalThis]) freezeAll(one);
  return evaluate;
})
