// Where a value stands on a slider of a thousand places: straight, or by its logarithm.

const PLACES = 1000;

export function sliderPlace(value, property) {
  const { minimum: low, maximum: high } = property;
  const share = property.log
    ? Math.log(Math.max(value, low) / low) / Math.log(high / low)
    : (value - low) / (high - low);
  return Math.round(PLACES * Math.max(0, Math.min(1, share)));
}

export function sliderValue(place, property) {
  const { minimum: low, maximum: high } = property;
  const share = place / PLACES;
  if (property.log) return Number((low * (high / low) ** share).toPrecision(2));
  const step = property.step ?? (property.type === "integer" ? 1 : (high - low) / PLACES);
  const value = Math.min(high, low + Math.round((share * (high - low)) / step) * step);
  return Number(value.toPrecision(8));
}
