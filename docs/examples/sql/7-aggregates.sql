-- # Aggregates

-- ## Aggregates of numbers
SELECT
  count(*),
  count(qty),
  sum(qty),
  sum(price),
  avg(qty),
  min(price),
  max(price),
  variance(qty),
  var_samp(qty),
  var_pop(qty),
  stddev(qty),
  stddev_samp(qty),
  stddev_pop(qty),
  bit_and(qty),
  bit_or(qty),
  bit_xor(qty)
FROM order_lines;

-- ## Aggregates of conditions
SELECT
  bool_and(qty > 0),
  bool_or(qty > 3),
  every(qty > 1)
FROM order_lines;

-- ## Aggregates that put rows together
SELECT
  string_agg(sku, ', ' ORDER BY order_id, no),
  string_agg(DISTINCT sku, ', '),
  array_agg(qty ORDER BY order_id, no),
  any_value(order_id) FILTER (WHERE order_id = 11),
  json_agg(sku ORDER BY order_id, no),
  json_agg_strict(nullif(sku, 'ink') ORDER BY order_id, no),
  jsonb_agg(qty ORDER BY order_id, no),
  jsonb_agg_strict(nullif(qty, 1) ORDER BY order_id, no),
  json_object_agg(sku, qty ORDER BY order_id, no),
  json_object_agg_strict(sku, nullif(qty, 1) ORDER BY order_id, no),
  jsonb_object_agg(sku, qty ORDER BY order_id, no)
FROM order_lines;
