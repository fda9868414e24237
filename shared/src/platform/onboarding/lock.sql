-- Of two changes at once the second sees the first.
select * from onboarding for no key update;
