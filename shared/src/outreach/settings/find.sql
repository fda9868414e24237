select st.*, o.holidays as organization_holidays
  from campaign_settings st
  join organizations o on o.id = st.organization_id
 where st.campaign_id = $1;
