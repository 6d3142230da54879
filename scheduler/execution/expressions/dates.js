// Units, wall times and zones, and how texts are read as them. Instants are milliseconds since 1970, months count from 0.
//
// Given what is known of zones: from a name to the offsets, [[from second, minutes], …], of the years 1900 to 2100, or null
// for no zone. One that is asked for and not known is put into `missing`; the expression is evaluated again when it is.
// Before and after those years, zones are ICU's, through Temporal.
(function (zones, missing) {
  'use strict';

  const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October',
    'November', 'December'];
  const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
  const MILLISECONDS = {millisecond: 1, second: 1000, minute: 60000, hour: 3600000};
  const DAY = 86400000;
  const TABLES_END = 4102444800;
  const LIMIT = 8640000000000000;
  const UNITS = {
    ms: 'millisecond', s: 'second', m: 'minute', h: 'hour', d: 'day', D: 'date', w: 'week', W: 'isoWeek', M: 'month',
    Q: 'quarter', y: 'year', E: 'isoWeekday', e: 'weekday', DDD: 'dayOfYear',
  };
  const NAMES = ['millisecond', 'second', 'minute', 'hour', 'day', 'date', 'week', 'isoWeek', 'month', 'quarter',
    'year', 'isoWeekday', 'weekday', 'dayOfYear'];
  const TOKENS = /\[[^\[]*\]|LTS|LT|L{1,4}|l{1,4}|[MDdQw]o|DDDo|Wo|YYYY|YY|gggg|gg|GGGG|GG|Q|M{1,4}|D{1,4}|d{1,4}|e|E|ww|w|WW|W|HH|H|hh|h|kk|k|mm|m|ss|s|S{1,9}|ZZ|Z|zz|z|A|a|X|x|\\.|./gs;
  const ISO = /^\s*([+-]\d{6}|\d{4})(?:-?(\d\d)(?:-?(\d\d))?)?(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?\s*$/;

  function unit(name) {
    if (typeof name !== 'string') return undefined;
    const known = UNITS[name] || UNITS[name.toLowerCase()];
    const singular = name.toLowerCase().replace(/s$/, '');
    return known || NAMES.find((one) => one.toLowerCase() === singular);
  }

  function required(name) {
    const known = unit(name);
    if (!known) throw new TypeError(`${String(name)} is not a unit of time.`);
    return known;
  }

  function wallTime(year, month, day, hour, minute, second, millisecond) {
    const date = new Date(0);
    date.setUTCFullYear(year, month, day);
    date.setUTCHours(hour || 0, minute || 0, second || 0, millisecond || 0);
    return date.getTime();
  }

  function offsetsOf(zone) {
    if (!zones.has(zone)) {
      missing.add(zone);
      throw new RangeError(`The time zone ${zone} is not known yet.`);
    }
    const offsets = zones.get(zone);
    if (!offsets) throw new RangeError(`There is no time zone ${JSON.stringify(zone)}.`);
    return offsets;
  }

  function lastBefore(offsets, second) {
    let [low, high] = [0, offsets.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (offsets[middle][0] <= second) low = middle;
      else high = middle;
    }
    return low;
  }

  // A place is the name of a zone, or a fixed number of minutes from UTC.
  function offsetAt(ms, place) {
    if (typeof place === 'number') return place;
    if (!(Math.abs(ms) <= LIMIT)) return 0;
    const offsets = offsetsOf(place);
    const second = Math.floor(ms / 1000);
    if (second >= offsets[0][0] && second < TABLES_END) return offsets[lastBefore(offsets, second)][1];
    const nanoseconds = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(place).offsetNanoseconds;
    return Math.round(nanoseconds / 6e10);
  }

  // A wall time that occurs twice is the first, one that does not occur is later by the length of the gap.
  function instant(wall, place) {
    if (typeof place === 'number') return wall - place * 60000;
    const before = offsetAt(wall - DAY, place);
    for (const offset of [before, offsetAt(wall + DAY, place)]) {
      if (offsetAt(wall - offset * 60000, place) === offset) return wall - offset * 60000;
    }
    return wall - before * 60000;
  }

  function zoneNamed(name) {
    if (/^(etc\/)?utc$/i.test(name)) return 0;
    offsetsOf(String(name));
    return String(name);
  }

  function offsetMinutes(text) {
    if (typeof text === 'number') return Math.abs(text) < 16 ? text * 60 : text;
    if (/^\s*z/i.test(text)) return 0;
    const found = /([+-])(\d\d):?(\d\d)?\s*$/.exec(text);
    if (!found) throw new TypeError(`${String(text)} is not an offset, such as +09:00.`);
    return (found[1] === '-' ? -1 : 1) * (Number(found[2]) * 60 + Number(found[3] || 0));
  }

  function daysOf(year, month) {
    return new Date(wallTime(year, month + 1, 0)).getUTCDate();
  }

  function fromFields(fields, place) {
    const [year, month, day, hour, minute, second, millisecond] = fields;
    const fits = month >= 0 && month < 12 && day >= 1 && day <= daysOf(year, month) && minute < 60 && second < 60
      && (hour < 24 || (hour === 24 && !minute && !second && !millisecond));
    return fits ? instant(wallTime(year, month, day, hour, minute, second, millisecond), place) : NaN;
  }

  function parsed(text, place) {
    const found = ISO.exec(text);
    if (!found || (found[2] && !found[3] && !text.includes('-'))) return {ms: NaN};
    const fields = [1, 2, 3, 4, 5, 6].map((at, index) => found[at] === undefined ? Number(index === 1 || index === 2)
      : Number(found[at]));
    fields[1] -= 1;
    fields.push(Math.floor(Number(`0.${found[7] || 0}`) * 1000 + 1e-6));
    const offset = found[8] === undefined ? undefined : offsetMinutes(found[8]);
    return {ms: fromFields(fields, offset === undefined ? place : offset), offset};
  }

  const READERS = {
    YYYY: ['(\\d{4})', 'year'], YY: ['(\\d\\d)', 'shortYear'],
    MMMM: ['([A-Za-z]+)', 'name'], MMM: ['([A-Za-z]+)', 'name'],
    MM: ['(\\d\\d?)', 'month'], M: ['(\\d\\d?)', 'month'], DD: ['(\\d\\d?)', 'day'], D: ['(\\d\\d?)', 'day'],
    HH: ['(\\d\\d?)', 'hour'], H: ['(\\d\\d?)', 'hour'], hh: ['(\\d\\d?)', 'hour'], h: ['(\\d\\d?)', 'hour'],
    mm: ['(\\d\\d?)', 'minute'], m: ['(\\d\\d?)', 'minute'], ss: ['(\\d\\d?)', 'second'], s: ['(\\d\\d?)', 'second'],
    SSS: ['(\\d{3})', 'millisecond'], A: ['([AaPp][Mm])', 'half'], a: ['([AaPp][Mm])', 'half'],
    Z: ['(Z|[+-]\\d\\d:?\\d\\d)', 'offset'], ZZ: ['(Z|[+-]\\d\\d:?\\d\\d)', 'offset'],
    X: ['([+-]?\\d+(?:\\.\\d{1,3})?)', 'unix'], x: ['([+-]?\\d+)', 'ms'],
  };

  function readAs(text, layout, place) {
    const names = [];
    const pattern = layout.match(TOKENS).map((token) => {
      const reader = READERS[token];
      if (!reader && /^[A-Za-z]/.test(token) && token !== 'T') {
        throw new TypeError(`moment(text, format) does not read ${token}.`);
      }
      if (reader) names.push(reader[1]);
      return reader ? reader[0] : token.replace(/^\[([^]*)\]$/, '$1').replace(/[.*+?^${}()|\\[\]\/]/g, '\\$&');
    }).join('');
    const found = new RegExp(`^\\s*${pattern}`).exec(text);
    if (!found) return NaN;
    return fromNamed(Object.fromEntries(names.map((name, index) => [name, found[index + 1]])), place);
  }

  function fromNamed(read, place) {
    if (read.ms !== undefined) return Number(read.ms);
    if (read.unix !== undefined) return Math.round(Number(read.unix) * 1000);
    const wall = new Date(Date.now() + offsetAt(Date.now(), place) * 60000);
    const short = Number(read.shortYear);
    const year = read.year !== undefined ? Number(read.year) : read.shortYear !== undefined
      ? short + (short > 68 ? 1900 : 2000) : wall.getUTCFullYear();
    const dated = read.year !== undefined || read.shortYear !== undefined;
    const letters = (one) => one.slice(0, 3).toLowerCase();
    const named = read.name && MONTHS.findIndex((one) => letters(one) === letters(read.name));
    const asked = read.month === undefined ? undefined : read.month - 1;
    const month = named ?? asked ?? (dated ? 0 : wall.getUTCMonth());
    const known = dated || named !== undefined || read.month !== undefined;
    const day = read.day !== undefined ? Number(read.day) : known ? 1 : wall.getUTCDate();
    let hour = Number(read.hour || 0);
    if (read.half) hour = hour % 12 + (/p/i.test(read.half) ? 12 : 0);
    const rest = [read.minute, read.second, read.millisecond].map((one) => Number(one || 0));
    return fromFields([year, month, day, hour, ...rest], read.offset ? offsetMinutes(read.offset) : place);
  }

  return {MONTHS, DAYS, MILLISECONDS, DAY, LIMIT, NAMES, TOKENS, unit, required, wallTime, offsetAt, instant,
    zoneNamed, offsetMinutes, daysOf, fromFields, parsed, readAs};
})
