-- A value tells the field: whoever multiplies how frequent each of them is takes ten thousand people for a hundred, and looks
-- them up one by one.
create statistics custom_values_boolean_stats (mcv) on field_id, boolean_value from custom_values;
create statistics custom_values_text_stats (mcv) on field_id, text_lower from custom_values;
alter statistics custom_values_boolean_stats set statistics 500;
alter statistics custom_values_text_stats set statistics 500;
analyze custom_values (field_id, boolean_value, text_lower);
